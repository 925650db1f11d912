"""What a trainer reads: samples from a source, collated into batches, one batch ahead of the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pdstore.stream import Position, SampleOrder
from schemas.training import AugmentSettings
from stages.train.augment import augment

__all__ = ["Batch", "Sample", "SampleSource", "batches", "collate"]


@dataclass(frozen=True)
class Sample:
    """One image and its masks.

    Attributes:
        image_id: position in the store.
        image: (H, W, 3) uint8, RGB.
        masks: (N, H, W) bool.
        labels: (N,) int64, the class of each mask.
        object_class: the slice of a class-specific head; 0 where the head is plain.
    """

    image_id: int
    image: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    object_class: int = 0


class SampleSource(Protocol):
    """Rows of a selection, read by number."""

    @property
    def block_of_row(self) -> npt.NDArray[np.int64]:
        """(R,) int64, the block each row lies in."""
        ...

    def __len__(self) -> int: ...

    def read(self, rows: npt.NDArray[np.int64]) -> list[Sample]:
        """The samples of ``rows``, in that order."""
        ...


@dataclass(frozen=True)
class Batch:
    """B augmented samples as tensors.

    Attributes:
        image_ids: B ints.
        images: (B, 3, S, S) uint8.
        masks: B times (N, S, S) float32, 0 or 1; N may be 0.
        labels: B times (N,) int64.
        object_class: (B,) int64.
    """

    image_ids: list[int]
    images: Tensor
    masks: list[Tensor]
    labels: list[Tensor]
    object_class: Tensor

    def to(self, device: torch.device) -> Batch:
        images = self.images.to(device, memory_format=torch.channels_last)
        masks, labels = [m.to(device) for m in self.masks], [x.to(device) for x in self.labels]
        return Batch(self.image_ids, images, masks, labels, self.object_class.to(device))


def collate(samples: list[Sample], settings: AugmentSettings, seed: int, epoch: int) -> Batch:
    """Augments each sample by its own generator (seed, epoch, image id) and stacks them.

    Torch computes nothing here: in the thread that loads ahead it would start a second team of OpenMP threads,
    which made a training step on two cores half as slow again.
    """
    images, masks, labels = [], [], []
    for sample in samples:
        image, seen = augment(sample.image, sample.masks, settings, seed, epoch, sample.image_id)
        kept = seen.any((1, 2))
        images.append(image)
        masks.append(torch.from_numpy(seen[kept].astype(np.float32)))
        labels.append(torch.from_numpy(sample.labels[kept]))
    object_class = torch.tensor([sample.object_class for sample in samples])
    return Batch([s.image_id for s in samples], torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), masks, labels, object_class)


def batches(
    source: SampleSource, order: SampleOrder, start: Position, settings: AugmentSettings
) -> Iterator[tuple[Position, Batch]]:
    """Endless (position before the batch, batch) from ``start`` on; the next one is made in a thread meanwhile."""

    def load(position: Position, rows: npt.NDArray[np.int64]) -> tuple[Position, Batch]:
        return position, collate(source.read(rows), settings, order.seed, position.epoch)

    return _ahead(load, order.batches(start))


def _ahead(
    load: Callable[[Position, npt.NDArray[np.int64]], tuple[Position, Batch]],
    items: Iterator[tuple[Position, npt.NDArray[np.int64]]],
) -> Iterator[tuple[Position, Batch]]:
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        coming = pool.submit(load, *next(items))
        while True:
            ready, coming = coming, pool.submit(load, *next(items))
            yield ready.result()
