"""What a trainer reads: samples from a source, which are collated into batches ahead of the step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pdstore.stream import Position, SampleOrder
from schemas.training import AugmentSettings
from stages.source.photos import Photo
from stages.train.augment import Change, augment, draw
from stages.train.stored_masks import StoredMasks
from stages.train.unwarped import UnwarpedSample

__all__ = ["Batch", "Sample", "SampleSource", "UnwarpedBatch", "batches", "collate", "decoded"]

Bools = npt.NDArray[np.bool_]
AHEAD = 1
"""Batches that are ready or in the making while a batch is trained on, not counting the next one."""


@dataclass(frozen=True)
class Sample:
    """One image and its masks.

    Attributes:
        image_id: position of the image in the store.
        photo: the picture, decoded when its pixels are asked for.
        stored: N masks in the frame of the picture, the same.
        labels: (N,) int64, the class of each mask.
        object_class: the slice of a class-specific head; 0 for a plain head.
        objects: (N,) int64, a number of the object that each mask is on; None if all are on one.
    """

    image_id: int
    photo: Photo
    stored: StoredMasks
    labels: npt.NDArray[np.int64]
    object_class: int = 0
    objects: npt.NDArray[np.int64] | None = None

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8, RGB."""
        return self.photo.pixels()

    @property
    def masks(self) -> npt.NDArray[np.bool_]:
        """(N, H, W) bool."""
        return self.stored.decode()


class SampleSource(Protocol):
    """Rows of a selection, which are read by their numbers."""

    @property
    def block_of_row(self) -> npt.NDArray[np.int64]:
        """(R,) int64, the block of each row."""
        ...

    def __len__(self) -> int: ...

    def read(self, rows: npt.NDArray[np.int64]) -> list[Callable[[], Sample]]:
        """One function per row, which decodes its sample in any thread. What it needs of the store is read now."""
        ...


@dataclass(frozen=True)
class Batch:
    """B augmented samples as tensors.

    Attributes:
        image_ids: B ints.
        epoch: the epoch that the samples belong to.
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
        """The batch on the device, with masks as float32. They are converted there, so that one byte each is copied."""
        images = self.images.to(device, memory_format=torch.channels_last, non_blocking=True)
        masks = [mask.to(device, non_blocking=True).float() for mask in self.masks]
        labels = [label.to(device, non_blocking=True) for label in self.labels]
        classes = self.object_class.to(device, non_blocking=True)
        return Batch(self.image_ids, self.epoch, images, masks, labels, classes)

    def pieces(self, count: int) -> Iterator[Batch]:
        """The batch in ``count`` pieces, in order; in fewer if it has fewer images."""
        return map(self.part, _slices(len(self.image_ids), count))

    def part(self, which: slice) -> Batch:
        """The images of a slice."""
        return Batch(
            self.image_ids[which],
            self.epoch,
            self.images[which],
            self.masks[which],
            self.labels[which],
            self.object_class[which],
        )

    def pinned(self) -> Batch:
        """The batch in pinned memory, from which a GPU copies while the CPU continues."""
        masks, labels = [mask.pin_memory() for mask in self.masks], [label.pin_memory() for label in self.labels]
        images, classes = self.images.pin_memory(), self.object_class.pin_memory()
        return Batch(self.image_ids, self.epoch, images, masks, labels, classes)


@dataclass(frozen=True)
class UnwarpedBatch:
    """B decoded samples, of which :meth:`to` makes a :class:`Batch` on its device.

    Attributes:
        image_ids, epoch, labels, object_class: those of the batch.
        samples: B samples.
    """

    image_ids: list[int]
    epoch: int
    samples: list[UnwarpedSample]
    labels: list[Tensor]
    object_class: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on the device, where pictures and masks are warped."""
        images, masks = zip(*(sample.on(device) for sample in self.samples), strict=True)
        stack = torch.stack(images)
        return Batch(self.image_ids, self.epoch, stack, list(masks), self.labels, self.object_class).to(device)

    def pieces(self, count: int) -> Iterator[UnwarpedBatch]:
        """As :meth:`Batch.pieces`."""
        return map(self.part, _slices(len(self.image_ids), count))

    def part(self, which: slice) -> UnwarpedBatch:
        """The images of a slice."""
        ids, samples, labels = self.image_ids[which], self.samples[which], self.labels[which]
        return UnwarpedBatch(ids, self.epoch, samples, labels, self.object_class[which])

    def pinned(self) -> UnwarpedBatch:
        """As :meth:`Batch.pinned`."""
        samples, labels = ([each.pinned() for each in self.samples], [label.pin_memory() for label in self.labels])
        return UnwarpedBatch(self.image_ids, self.epoch, samples, labels, self.object_class.pin_memory())


def _slices(length: int, count: int) -> Iterator[slice]:
    """``length`` images in ``count`` slices of equal size; fewer if there are fewer images."""
    size = -(-length // count)
    return (slice(first, first + size) for first in range(0, length, size))


def decoded(
    decoders: Sequence[Callable[[], Sample]],
    settings: AugmentSettings,
    seed: int,
    epoch: int,
    pool: Executor | None = None,
    min_part_ratio: float = 0.0,
) -> UnwarpedBatch:
    """As :func:`collate`, for a device that warps: the samples are only decoded, and what changes is drawn."""

    def make(decode: Callable[[], Sample]) -> tuple[Sample, UnwarpedSample]:
        sample = decode()
        change = draw(sample.stored, settings, seed, epoch, sample.image_id, min_part_ratio, sample.objects)
        return sample, UnwarpedSample.of(sample.photo, sample.stored, change)

    samples, unwarped = zip(*(pool.map if pool else map)(make, decoders), strict=True)
    return UnwarpedBatch(
        [sample.image_id for sample in samples],
        epoch,
        list(unwarped),
        [torch.from_numpy(s.labels[u.change.targets]) for s, u in zip(samples, unwarped, strict=True)],
        torch.tensor([sample.object_class for sample in samples]),
    )


def collate(
    decoders: Sequence[Callable[[], Sample]],
    settings: AugmentSettings,
    seed: int,
    epoch: int,
    pool: Executor | None = None,
    min_part_ratio: float = 0.0,
) -> Batch:
    """Decode the samples, augment each with its own generator (seed, epoch, image id), and stack them.

    Masks that are no targets after augmentation are dropped. torch computes nothing here: in the thread that loads
    ahead it would start a second team of OpenMP threads, which made training steps on two cores take half as long
    again.

    Args:
        pool: its threads decode and augment; by default, this thread does.
        min_part_ratio: a target has a larger share than this of the visible area of all masks of its object.
    """
    images = np.empty((len(decoders), settings.size_px, settings.size_px, 3), np.uint8)

    def make(decode: Callable[[], Sample], out: npt.NDArray[np.uint8]) -> tuple[Sample, Change, Bools]:
        sample = decode()
        change = draw(sample.stored, settings, seed, epoch, sample.image_id, min_part_ratio, sample.objects)
        return sample, change, augment(sample.photo, sample.stored, change, out)

    samples, changes, masks = zip(*(pool.map if pool else map)(make, decoders, images), strict=True)
    return Batch(
        [sample.image_id for sample in samples],
        epoch,
        torch.from_numpy(images).permute(0, 3, 1, 2),
        [torch.from_numpy(stack) for stack in masks],
        [torch.from_numpy(sample.labels[change.targets]) for sample, change in zip(samples, changes, strict=True)],
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
    min_part_ratio: float = 0.0,
    on_device: bool = False,
) -> Iterator[Batch | UnwarpedBatch]:
    """A rank's share of every batch from ``start`` on, without end. The next two are made in threads meanwhile.

    Args:
        threads: how many threads decode and augment; one more thread reads the store.
        pin: batches are in pinned memory.
        min_part_ratio: as in :func:`collate`.
        on_device: batches are those of :func:`decoded`, which their device warps.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader, ThreadPoolExecutor(threads) as pool:
        make: Callable[..., Batch | UnwarpedBatch] = decoded if on_device else collate

        def load(position: Position, rows: npt.NDArray[np.int64]) -> Batch | UnwarpedBatch:
            workers = pool if threads > 1 else None
            batch = make(source.read(rows), settings, order.seed, position.epoch, workers, min_part_ratio)
            return batch.pinned() if pin else batch

        items = order.batches(start, rank, ranks)
        coming = deque(reader.submit(load, *next(items)) for _ in range(AHEAD))
        while True:
            coming.append(reader.submit(load, *next(items)))
            yield coming.popleft().result()
