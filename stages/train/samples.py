"""What a trainer reads: samples from a source, collated into batches ahead of the step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pdstore.stream import Position, SampleOrder
from schemas.training import AugmentSettings
from stages.train.augment import augment

__all__ = ["Batch", "Sample", "SampleSource", "batches", "collate"]

AHEAD = 1
"""Batches that are ready or being made while one is trained on, beside the one that is asked for next."""


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

    def read(self, rows: npt.NDArray[np.int64]) -> list[Callable[[], Sample]]:
        """For each row what decodes its sample, in any thread; what must be read of the store is read now."""
        ...


@dataclass(frozen=True)
class Batch:
    """B augmented samples as tensors.

    Attributes:
        image_ids: B ints.
        epoch: that they were drawn in.
        images: (B, 3, S, S) uint8.
        masks: B times (N, S, S) bool; N may be 0.
        labels: B times (N,) int64.
        object_class: (B,) int64.
    """

    image_ids: list[int]
    epoch: int
    images: Tensor
    masks: list[Tensor]
    labels: list[Tensor]
    object_class: Tensor

    def to(self, device: torch.device) -> Batch:
        """On the device, masks as float32 there: over the bus they travel as single bytes."""
        images = self.images.to(device, memory_format=torch.channels_last, non_blocking=True)
        masks = [m.to(device, non_blocking=True).float() for m in self.masks]
        labels = [x.to(device, non_blocking=True) for x in self.labels]
        classes = self.object_class.to(device, non_blocking=True)
        return Batch(self.image_ids, self.epoch, images, masks, labels, classes)

    def pieces(self, count: int) -> Iterator[Batch]:
        """The batch in ``count`` parts, in order; fewer if there are fewer images."""
        size = -(-len(self.image_ids) // count)
        for first in range(0, len(self.image_ids), size):
            cut = slice(first, first + size)
            yield Batch(
                self.image_ids[cut],
                self.epoch,
                self.images[cut],
                self.masks[cut],
                self.labels[cut],
                self.object_class[cut],
            )

    def pinned(self) -> Batch:
        """In memory from which a GPU copies while the CPU goes on."""
        masks, labels = [m.pin_memory() for m in self.masks], [x.pin_memory() for x in self.labels]
        images, classes = self.images.pin_memory(), self.object_class.pin_memory()
        return Batch(self.image_ids, self.epoch, images, masks, labels, classes)


def collate(
    decoders: Sequence[Callable[[], Sample]],
    settings: AugmentSettings,
    seed: int,
    epoch: int,
    pool: Executor | None = None,
) -> Batch:
    """Decodes the samples, augments each by its own generator (seed, epoch, image id) and stacks them.

    Torch computes nothing here: in the thread that loads ahead it would start a second team of OpenMP threads,
    which made a training step on two cores half as slow again.

    Args:
        pool: whose threads decode and augment; this thread alone unless given.
    """

    def make(decode: Callable[[], Sample]) -> Sample:
        sample = decode()
        image, seen = augment(sample.image, sample.masks, settings, seed, epoch, sample.image_id)
        kept = seen.any((1, 2))
        return replace(sample, image=image, masks=seen[kept], labels=sample.labels[kept])

    samples = list(pool.map(make, decoders)) if pool else [make(decode) for decode in decoders]
    return Batch(
        [sample.image_id for sample in samples],
        epoch,
        torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2),
        [torch.from_numpy(sample.masks) for sample in samples],
        [torch.from_numpy(sample.labels) for sample in samples],
        torch.tensor([sample.object_class for sample in samples]),
    )


def batches(
    source: SampleSource,
    order: SampleOrder,
    start: Position,
    settings: AugmentSettings,
    *,
    rank: int = 0,
    ranks: int = 1,
    threads: int = 1,
    pin: bool = False,
) -> Iterator[Batch]:
    """Endless, this rank's share of every batch from ``start`` on; the next two are made in threads meanwhile.

    Args:
        threads: that decode and augment. One more reads the store.
        pin: batches lie in pinned memory.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader, ThreadPoolExecutor(threads) as pool:

        def load(position: Position, rows: npt.NDArray[np.int64]) -> Batch:
            workers = pool if threads > 1 else None
            batch = collate(source.read(rows), settings, order.seed, position.epoch, workers)
            return batch.pinned() if pin else batch

        items = order.batches(start, rank, ranks)
        coming = deque(reader.submit(load, *next(items)) for _ in range(AHEAD))
        while True:
            coming.append(reader.submit(load, *next(items)))
            yield coming.popleft().result()
