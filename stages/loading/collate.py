"""Lists of samples as the models of other libraries take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stages.loading.samples import Sample

__all__ = ["detection_targets", "mask2former_inputs"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def detection_targets(samples: Sequence[Sample], first_label: int = 1) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """The images and targets that torchvision's detection models take, such as ``maskrcnn_resnet50_fpn``.

    Masks without a pixel are left out, since these models refuse boxes without area.

    Args:
        first_label: the label of a mask whose label is 0; these models keep 0 for the background.

    Returns:
        B images, (3, H, W) float32, 0 to 1; and B targets with ``boxes`` (N, 4) float32, left, top, right, bottom in
        pixels, ``labels`` (N,) int64, ``masks`` (N, H, W) uint8, ``image_id`` () int64, ``area`` (N,) float32, the
        pixels of each mask, and ``iscrowd`` (N,) int64, all 0.
    """
    return [sample["image"].float() / 255 for sample in samples], [_target(sample, first_label) for sample in samples]


def _target(sample: Sample, first_label: int) -> dict[str, Tensor]:
    area = sample["masks"].sum((1, 2)).float()
    seen = area > 0
    return {
        "boxes": sample["boxes"][seen],
        "labels": sample["labels"][: len(seen)][seen] + first_label,
        "masks": sample["masks"][seen].to(torch.uint8),
        "image_id": torch.tensor(sample["image_id"]),
        "area": area[seen],
        "iscrowd": torch.zeros(int(seen.sum()), dtype=torch.int64),
    }


def mask2former_inputs(
    samples: Sequence[Sample],
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    multiple: int = 32,
) -> dict[str, Any]:
    """The inputs of transformers' ``Mask2FormerForUniversalSegmentation`` and ``MaskFormerForInstanceSegmentation``.

    ``model(**batch)`` computes the loss. Images are padded with 0 at the right and at the bottom.

    Args:
        mean, std: of the three channels, on the scale from 0 to 1.
        multiple: height and width become multiples of it.

    Returns:
        ``pixel_values`` (B, 3, H, W) float32; ``pixel_mask`` (B, H, W) int64, 1 on the image and 0 on the padding;
        ``mask_labels``: B times (N, H, W) float32; ``class_labels``: B times (N,) int64.
    """
    sizes = torch.tensor([sample["image"].shape[1:] for sample in samples])
    height, width = (-(-sizes.amax(0) // multiple) * multiple).tolist()
    middle, spread = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))

    def padded(values: Tensor) -> Tensor:
        return functional.pad(values, (0, width - values.shape[-1], 0, height - values.shape[-2]))

    images = [(sample["image"].float() / 255 - middle) / spread for sample in samples]
    return {
        "pixel_values": torch.stack([padded(image) for image in images]),
        "pixel_mask": torch.stack([padded(torch.ones(tuple(size), dtype=torch.int64)) for size in sizes.tolist()]),
        "mask_labels": [padded(sample["masks"]).float() for sample in samples],
        "class_labels": [sample["labels"][: len(sample["masks"])] for sample in samples],
    }
