"""What nodes compute on a device, formulated once more: plainly, on the CPU, picture by picture, with whole masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from pdstore import Rows, masks
from schemas.training import NetworkSettings
from stages.models.network import PartNetwork, build
from stages.models.network_files import load_network, network_files, write_files

__all__ = ["TINY", "Said", "assert_same_mask", "dense", "network", "plain_queries", "save", "scene"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

TINY = NetworkSettings(preset="tiny")
"""A Swin with deformable and masked attention: every layer of the real network."""
TOLERANCE = 0.01
"""By so much a probability may differ between devices."""


@dataclass(frozen=True)
class Said:
    """What a network says of one picture: (Q, C + 1) classes, (Q, D) features, (Q, H, W) mask probabilities."""

    classes: Floats
    features: Floats
    masks: Floats


def network(num_classes: int, num_objects: int = 0, mask_scale: float = 1, class_scale: float = 1) -> PartNetwork:
    """A network of random weights, of which those that releases of transformers draw differently are drawn here.

    Args:
        mask_scale, class_scale: by how much the last layers are enlarged, so that fewer answers are near one half.
    """
    built = build(TINY, num_classes, num_objects, seed=3)
    random = torch.Generator().manual_seed(3)
    largest = TINY.hidden_dim**-0.5
    with torch.no_grad():
        for name, weight in built.named_parameters():
            if "queries_" in name or "level_embed" in name:
                weight.normal_(generator=random)
            elif "mask_embedder" in name:
                weight.uniform_(-largest, largest, generator=random)
                weight.mul_(mask_scale if "mask_embedder.2" in name else 1)
            elif name.startswith("class_predictor"):
                weight.uniform_(-largest, largest, generator=random).mul_(class_scale)
    return built


def save(folder: Path, num_classes: int, num_objects: int = 0, names: Sequence[str] = ()) -> Path:
    """The files of a network whose answers are clear."""
    write_files(network_files(network(num_classes, num_objects, 20, 5), names), folder)
    return folder


def scene(seed: int, height: int = 64, width: int = 96) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8: a bright patch of two colours on a dark background, with a little noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(20, 40, (height, width, 3))
    pixels[height // 4 : 3 * height // 4, width // 4 : width // 2] += np.array([180, 20, 20])
    pixels[height // 4 : 3 * height // 4, width // 2 : 3 * width // 4] += np.array([20, 60, 190])
    return pixels.astype(np.uint8)


@torch.no_grad()
def plain_queries(folder: Path, pixels: npt.NDArray[np.uint8], object_class: int | None = None) -> Said:
    """The network's answer to a picture whose sides are multiples of 32."""
    network = load_network(folder)
    classes = None if object_class is None else torch.tensor([object_class])
    output = network(torch.from_numpy(pixels).permute(2, 0, 1)[None], classes)
    size = pixels.shape[:2]
    logits = functional.interpolate(output.mask_logits, size, mode="bilinear", align_corners=False)
    chances = output.class_logits.softmax(-1)
    return Said(chances[0].numpy(), output.features[0].numpy(), logits[0].sigmoid().numpy())


def dense(rows: Rows, image_id: int, key: str, size: tuple[int, int]) -> dict[int, Bools]:
    """Number in the column ``key`` -> mask (H, W), for the rows of an image."""
    picked = np.flatnonzero(rows["image_id"] == image_id)
    return {int(rows[key][i]): masks.decode_one(rows.ragged("rle")[i], *size) for i in picked.tolist()}


def assert_same_mask(found: Bools, probability: Floats, bound: float = 0.5, tolerance: float = TOLERANCE) -> None:
    """A pixel may be on the other side of the bound only if its probability is at the bound."""
    differs = found != (probability > bound)
    assert (np.abs(probability - bound)[differs] < tolerance).all()
    assert differs.mean() < 0.05
