from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from pdstore.stream import Position, SampleOrder
from stages.train.augment import augment, draw
from stages.train.samples import Batch, UnwarpedBatch, batches, collate, decoded
from stages.train.stored_masks import StoredMasks
from tests.stages.train.squares import PLAIN, SETTINGS, Squares

SOURCE = Squares()
ORDER = SampleOrder(SOURCE.block_of_row, batch_size=4, seed=5, window=2)


def ids(batch: Batch) -> list[int]:
    return batch.image_ids


def same(one: Batch, other: Batch) -> bool:
    pairs = [(one.images, other.images), *zip(one.masks, other.masks, strict=True)]
    return ids(one) == ids(other) and all(torch.equal(a, b) for a, b in pairs)


def test_collated_samples_are_the_images_and_masks_of_the_source() -> None:
    """Without augmentation, each image is its sample's; the image without a mask has no labels."""
    batch = collate(SOURCE.read(np.array([4, 2])), PLAIN, 0, 3)
    assert (ids(batch), batch.epoch, batch.object_class.tolist()) == ([104, 102], 3, [0, 0])
    assert batch.images.shape == (2, 3, 64, 64) and batch.images.dtype == torch.uint8
    assert np.array_equal(batch.images[0].permute(1, 2, 0).numpy(), SOURCE.sample(4).image)
    assert np.array_equal(batch.masks[0].numpy(), SOURCE.sample(4).masks)
    assert [len(masks) for masks in batch.masks] == [len(labels) for labels in batch.labels] == [1, 0]


def test_masks_that_leave_the_image_are_dropped() -> None:
    """A sample keeps the masks that augmentation leaves as targets, with their labels."""
    settings, corners = PLAIN.model_copy(update={"crop_min_ratio": 0.1}), np.zeros((3, 64, 64), bool)
    corners[0, :32, :32] = corners[1, 32:, 32:] = corners[2, :12, 40:] = True
    sample = replace(SOURCE.sample(0), stored=StoredMasks.encode(corners), labels=np.array([5, 6, 7]))
    seen = set()
    for epoch in range(20):
        batch = collate([lambda: sample], settings, 0, epoch, min_part_ratio=0.1)
        change = draw(sample.stored, settings, 0, epoch, sample.image_id, 0.1)
        image, targets = np.empty((64, 64, 3), np.uint8), change.targets
        masks = augment(sample.photo, sample.stored, change, image)
        assert np.array_equal(batch.images[0].permute(1, 2, 0).numpy(), image)
        assert np.array_equal(batch.masks[0].numpy(), masks)
        assert batch.labels[0].tolist() == (targets + 5).tolist()
        seen.add(tuple(targets.tolist()))
    assert {(0,), (1,), (0, 1)} < seen


def test_threads_do_not_change_a_batch() -> None:
    """Each sample has a generator of its own, so it does not matter which thread makes it."""
    decoders = SOURCE.read(np.arange(7))
    with ThreadPoolExecutor(3) as pool:
        threaded = collate(decoders, SETTINGS.augment, 1, 2, pool)
    assert same(threaded, collate(decoders, SETTINGS.augment, 1, 2))
    assert not same(threaded, collate(decoders, SETTINGS.augment, 1, 3))


@pytest.mark.parametrize(("count", "sizes"), [(1, [7]), (2, [4, 3]), (3, [3, 3, 1]), (9, [1] * 7)])
def test_pieces_are_the_batch_in_order(count: int, sizes: list[int]) -> None:
    """Together, the pieces have every image once; there are fewer if the batch has fewer images."""
    batch = collate(SOURCE.read(np.arange(7)), PLAIN, 0, 0)
    pieces = list(batch.pieces(count))
    assert [len(ids(piece)) for piece in pieces] == sizes
    assert [image_id for piece in pieces for image_id in ids(piece)] == ids(batch)
    assert torch.equal(torch.cat([piece.images for piece in pieces]), batch.images)
    assert [len(m) for piece in pieces for m in piece.masks] == [len(m) for m in batch.masks]


def test_masks_are_numbers_on_the_device() -> None:
    """The loss needs masks as float32; images stay bytes."""
    batch = collate(SOURCE.read(np.arange(2)), PLAIN, 0, 0).to(torch.device("cpu"))
    assert {mask.dtype for mask in batch.masks} == {torch.float32} and batch.images.dtype == torch.uint8
    assert float(batch.masks[0].sum()) == 24 * 24


def test_ranks_share_every_batch() -> None:
    """The shares of the ranks are the batch of a single process, and the next epoch follows without a gap."""
    alone = list(islice(batches(SOURCE, ORDER, Position(), SETTINGS.augment), 5))
    shares = [
        list(islice(batches(SOURCE, ORDER, Position(), SETTINGS.augment, rank=rank, ranks=2, threads=2), 5))
        for rank in (0, 1)
    ]
    assert [batch.epoch for batch in alone] == [0, 0, 1, 1, 2]
    for whole, first, second in zip(alone, *shares, strict=True):
        assert ids(first) + ids(second) == ids(whole) and len(ids(whole)) == 4
        assert torch.equal(torch.cat([first.images, second.images]), whole.images)


def test_a_stream_can_start_anywhere() -> None:
    """From the position of step 3 on, batches are those of an uninterrupted stream."""
    whole = list(islice(batches(SOURCE, ORDER, Position(), SETTINGS.augment), 5))
    rest = list(islice(batches(SOURCE, ORDER, ORDER.at_step(3), SETTINGS.augment), 2))
    assert all(same(one, other) for one, other in zip(whole[3:], rest, strict=True))


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_that_the_device_warps_is_that_of_the_host(count: int) -> None:
    """Masks, labels and ids are equal and pictures up to rounding, as a whole and in pieces."""
    decoders = SOURCE.read(np.arange(7))
    expected = list(collate(decoders, SETTINGS.augment, 1, 2).to(torch.device("cpu")).pieces(count))
    found = [piece.to(torch.device("cpu")) for piece in decoded(decoders, SETTINGS.augment, 1, 2).pieces(count)]
    for one, other in zip(found, expected, strict=True):
        assert (ids(one), one.epoch, one.object_class.tolist()) == (ids(other), 2, other.object_class.tolist())
        assert one.images.dtype == torch.uint8 and (one.images.int() - other.images.int()).abs().max() <= 2
        for ours, theirs in zip(one.masks + one.labels, other.masks + other.labels, strict=True):
            assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)


def test_a_stream_for_a_device_has_the_same_samples() -> None:
    """Its batches are decoded in the same threads and in the same order."""
    options = {"threads": 2, "min_part_ratio": 0.1}
    host = list(islice(batches(SOURCE, ORDER, Position(), SETTINGS.augment, **options), 3))
    device = list(islice(batches(SOURCE, ORDER, Position(), SETTINGS.augment, on_device=True, **options), 3))
    for one, other in zip(host, device, strict=True):
        assert isinstance(other, UnwarpedBatch) and other.image_ids == one.image_ids
        assert all(
            torch.equal(a, b.bool()) for a, b in zip(one.masks, other.to(torch.device("cpu")).masks, strict=True)
        )
