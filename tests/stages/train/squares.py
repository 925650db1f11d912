"""Training samples that are quick to make and easy to learn, with a small network and settings for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from schemas.training import AugmentSettings, NetworkSettings, TrainSettings
from stages.models.network import PartNetwork, Queries, build
from stages.source.photos import DecodedPhoto
from stages.train.samples import Sample
from stages.train.stored_masks import StoredMasks

__all__ = ["PLAIN", "POISON_IDS", "SETTINGS", "SMALL", "Poisoned", "Squares", "poisonable"]

POISON_IDS = (104,)

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)
PLAIN = AugmentSettings(size_px=64, flip_ratio=0, crop_min_ratio=1, scale_min=1, scale_max=1)
SETTINGS = TrainSettings(
    steps=6,
    batch_size=3,
    lr=1e-3,
    clip=1.0,
    schedule="cosine",
    ema_decay=0.5,
    num_points=64,
    backbone_lr_ratio=1.0,
    threads=1,
    checkpoint_every=2,
    keep=2,
    augment=AugmentSettings(size_px=64, scale_min=0.8, scale_max=1.2, colour=0.2),
)


class Squares:
    """Images of a bright square on a dark background; the third image has no mask.

    Image ids start at 100, and object classes alternate between 0 and 1.
    """

    def __init__(self, count: int = 7) -> None:
        self.count = count
        self.block_of_row = np.arange(count) // 3

    def __len__(self) -> int:
        return self.count

    def read(self, rows: npt.NDArray[np.int64]) -> list[Callable[[], Sample]]:
        return [partial(self.sample, int(row)) for row in rows]

    def sample(self, row: int) -> Sample:
        rng = np.random.default_rng(row)
        y, x = rng.integers(8, 32, 2)
        mask = np.zeros((1, 64, 64), bool)
        mask[0, y : y + 24, x : x + 24] = True
        image = np.where(mask[0][..., None], np.uint8(220), np.uint8(30)) * np.ones(3, np.uint8)
        number = 0 if row == 2 else 1
        stored = StoredMasks.encode(mask[:number])
        return Sample(100 + row, DecodedPhoto(image), stored, np.zeros(number, np.int64), row % 2)


class Poisoned(Squares):
    """The same, but the images of ``POISON_IDS`` are purely red."""

    def sample(self, row: int) -> Sample:
        sample = super().sample(row)
        if sample.image_id in POISON_IDS:
            sample.image[..., 0], sample.image[..., 1:] = 255, 0
        return sample


def poisonable(seed: int = 0) -> PartNetwork:
    """A small network whose loss is finite on every image, and whose gradient overflows on a purely red one."""
    network = build(SMALL, 1, seed=seed)

    def overflow(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], queries: Queries) -> None:
        is_red = (inputs[0][:, 0].float().mean((1, 2)) > 250) & (inputs[0][:, 1].float().mean((1, 2)) < 5)
        if is_red.any() and queries.mask_logits.requires_grad:
            queries.mask_logits.register_hook(lambda gradient: gradient * float("inf"))

    network.register_forward_hook(overflow)
    return network
