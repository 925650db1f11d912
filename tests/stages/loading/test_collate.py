"""Batches as torchvision and transformers take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import MaskFormerImageProcessor

from pdstore import Store
from stages.loading.collate import detection_targets, mask2former_inputs
from stages.loading.map_dataset import MapDataset
from tests.stages.loading.made import ABOVE


def samples(made: Store) -> list[dict[str, Any]]:
    """Two images of different sizes, the first with two masks and the second with one."""
    dataset = MapDataset(made.url, ABOVE)
    return [dataset[2], dataset[0]]


def test_detection_targets_are_those_of_torchvision(made: Store) -> None:
    """Images are float32, 0 to 1; boxes lie in the image and have an area; label 0 is left to the background."""
    given = samples(made)
    images, targets = detection_targets(given)
    for image, target, sample in zip(images, targets, given, strict=True):
        assert image.dtype == torch.float32 and torch.equal((image * 255).round().to(torch.uint8), sample["image"])
        left, top, right, bottom = target["boxes"].T
        assert ((left < right) & (top < bottom)).all() and right.max() <= image.shape[2] >= left.max()
        assert target["labels"].tolist() == (sample["labels"] + 1).tolist()
        assert target["masks"].dtype == torch.uint8 and torch.equal(target["masks"].bool(), sample["masks"])
        assert target["area"].tolist() == sample["masks"].sum((1, 2)).tolist()
        assert target["image_id"].item() == sample["image_id"] and target["iscrowd"].sum() == 0


def test_a_mask_without_pixels_is_no_target(made: Store) -> None:
    """A box without area would stop a detection model, so the mask is left out with its label."""
    sample = samples(made)[0]
    sample["masks"][0] = False
    _, (target,) = detection_targets([sample], first_label=0)
    assert len(target["boxes"]) == len(target["masks"]) == 1 and target["labels"].tolist() == [sample["labels"][1]]


def test_inputs_are_those_of_the_image_processor(made: Store) -> None:
    """Pixels, padding and masks are what transformers' own processor makes of the same images and masks."""
    given = samples(made)
    found = mask2former_inputs(given)
    options = {"do_resize": False, "size_divisor": 32, "do_reduce_labels": False, "ignore_index": 0}
    processor = MaskFormerImageProcessor(
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], **options, use_fast=False
    )
    expected = processor([sample["image"].permute(1, 2, 0).numpy() for sample in given], return_tensors="pt")
    height, width = expected["pixel_values"].shape[2:]
    for image, theirs in zip(found["pixel_values"], expected["pixel_values"], strict=True):
        torch.testing.assert_close(image[:, :height, :width], theirs, atol=1e-5, rtol=0)
    assert torch.equal(found["pixel_mask"][:, :height, :width], expected["pixel_mask"])
    assert found["pixel_values"].shape == (2, 3, 32, 32) and found["pixel_mask"].dtype == torch.int64
    for sample, masks, labels in zip(given, found["mask_labels"], found["class_labels"], strict=True):
        _, rows, columns = sample["masks"].shape
        np.testing.assert_array_equal(masks[:, :rows, :columns].bool(), sample["masks"])
        assert masks.shape[1:] == (32, 32) and masks.sum() == sample["masks"].sum()
        assert masks.dtype == torch.float32 and torch.equal(labels, sample["labels"])
