"""Binary masks <-> COCO compressed run lengths, and arithmetic on the run lengths.

Masks are (N, H, W) bool; (H, W) is their frame, which rows say as ``height`` and ``width``. Encoded, they are a
:class:`~pdstore.ragged.Ragged` of N strings, each the ``counts`` of a COCO RLE (column-major runs, as
``pycocotools.mask`` writes them).
Area, union, intersection and IoU work on the runs, so their cost grows with the number of runs, not of pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from pdstore.errors import CorruptData
from pdstore.ragged import Ragged
from pdstore.runlength import check_masks, compress, run_lengths

__all__ = [
    "area",
    "boxes",
    "check",
    "decode",
    "decode_one",
    "decode_to",
    "encode",
    "intersect",
    "iou",
    "resize",
    "resize_each",
    "resize_nearest",
    "union",
]

Bools = npt.NDArray[np.bool_]


def encode(masks: npt.ArrayLike) -> Ragged:
    """(N, H, W) bool -> N run-length strings. Of any other dtype, values that are not zero are inside the mask.

    Raises:
        ValueError: if ``masks`` does not have three dimensions, or H or W is 0 while N is not.
    """
    stack = np.asarray(masks)
    if stack.ndim != 3:
        raise ValueError(f"masks must be (N, H, W), got shape {stack.shape}")
    if len(stack) == 0:
        return Ragged.from_list([])
    if 0 in stack.shape:
        raise ValueError(f"masks must have at least one pixel, got shape {stack.shape}")
    columns = np.asfortranarray((stack != 0).transpose(1, 2, 0).astype(np.uint8))
    return Ragged.from_list(r["counts"] for r in coco.encode(columns))


def decode(rle: Ragged, height: int, width: int) -> Bools:
    """N run-length strings of one image -> (N, height, width) bool."""
    if len(rle) == 0:
        return np.zeros((0, height, width), bool)
    # Column-major bytes, 0 or 1: viewed as bool without a copy.
    columns: Bools = coco.decode(_coco(rle, height, width)).view(bool)
    return columns.transpose(2, 0, 1)


def decode_one(counts: bytes, height: int, width: int) -> Bools:
    """One run-length string -> (height, width) bool."""
    return np.ascontiguousarray(decode(Ragged.from_list([counts]), height, width)[0])


def decode_to(rle: Ragged, frames: npt.ArrayLike, height: int, width: int) -> Bools:
    """N run-length strings, each of a frame of its own -> (N, height, width) bool, by :func:`resize_each`."""
    return decode(resize_each(rle, frames, (height, width)), height, width)


def area(rle: Ragged, height: int, width: int) -> npt.NDArray[np.int64]:
    """(N,) int64: number of pixels in each mask."""
    if len(rle) == 0:
        return np.zeros(0, np.int64)
    strings = _coco(rle, height, width)
    # pycocotools keeps the number of masks in eight bits.
    parts = [coco.area(strings[first : first + 255]) for first in range(0, len(strings), 255)]
    return np.concatenate(parts).astype(np.int64)


def boxes(rle: Ragged, height: int, width: int) -> npt.NDArray[np.float32]:
    """(N, 4) float32: x0, y0, width, height in pixels; zeros for an empty mask."""
    if len(rle) == 0:
        return np.zeros((0, 4), np.float32)
    return np.asarray(coco.toBbox(_coco(rle, height, width)), np.float32)


def iou(a: Ragged, b: Ragged, height: int, width: int) -> npt.NDArray[np.float64]:
    """(A, B) float64: intersection over union of every pair; 0 where both are empty."""
    if len(a) == 0 or len(b) == 0:
        return np.zeros((len(a), len(b)))
    return np.asarray(coco.iou(_coco(a, height, width), _coco(b, height, width), [0] * len(b)), np.float64)


def union(rle: Iterable[bytes], height: int, width: int) -> bytes:
    """The run-length string of the union; the empty mask if there are no masks."""
    return _merge(rle, height, width, intersect=False)


def intersect(rle: Iterable[bytes], height: int, width: int) -> bytes:
    """The run-length string of the intersection; the empty mask if there are no masks."""
    return _merge(rle, height, width, intersect=True)


def resize_nearest(mask: Bools, height: int, width: int) -> Bools:
    """(h, w) bool -> (height, width) bool: each target pixel takes the source pixel under its centre."""
    rows, columns = _under(height, mask.shape[0]), _under(width, mask.shape[1])
    return np.asarray(mask[rows[:, None], columns[None, :]], bool)


def resize(rle: Ragged, size: tuple[int, int], target: tuple[int, int]) -> Ragged:
    """Masks of one (height, width) -> the same masks in another one, as :func:`resize_nearest` has them.

    No pixel is painted: cost and memory grow with the runs of the result, so a mask can be brought to the pixels of
    an image of any size.

    Raises:
        CorruptData: a string is not that of a mask of this size.
    """
    if size == target or not len(rle):
        return rle
    check(rle, *size)
    return Ragged.from_list(_resized(counts, size, target) for counts in rle)


def resize_each(rle: Ragged, frames: npt.ArrayLike, target: tuple[int, int]) -> Ragged:
    """Masks that each have a frame of their own -> the same masks in one, by :func:`resize`.

    Args:
        frames: (N, 2) int, the (height, width) of each mask.
    """
    sizes = np.asarray(frames, np.int64).reshape(-1, 2)
    if (sizes == target).all():
        return rle
    found = [b""] * len(rle)
    for height, width in np.unique(sizes, axis=0).tolist():
        index = np.flatnonzero((sizes == (height, width)).all(1))
        for number, counts in zip(index.tolist(), resize(rle.take(index), (height, width), target), strict=True):
            found[number] = counts
    return Ragged.from_list(found)


def _resized(counts: bytes, size: tuple[int, int], target: tuple[int, int]) -> bytes:
    height = size[0]
    rows, columns = _under(target[0], height), _under(target[1], size[1])
    # Places, column by column, at which the mask begins or ends.
    turns = np.cumsum(run_lengths(counts))[:-1]
    first, last = (np.searchsorted(turns, columns * height + rows[end], "right") & 1 for end in (0, -1))
    # A turn in a source column takes effect at the first target row whose source row is at or below it. Two turns at
    # the same target row undo each other; those before the first and after the last target row do not show.
    column, row = turns // height, np.searchsorted(rows, turns % height)
    shows = (row > 0) & (row < target[0])
    places, times = np.unique(column[shows] * target[0] + row[shows], return_counts=True)
    places = places[times % 2 == 1]
    begin, end = np.searchsorted(places, columns * target[0]), np.searchsorted(places, (columns + 1) * target[0])
    number = np.repeat(np.arange(len(columns)), end - begin)
    nth = np.arange(len(number)) - np.repeat(np.cumsum(end - begin) - (end - begin), end - begin)
    inside = number * target[0] + places[begin[number] + nth] % target[0]
    between = np.flatnonzero(first != np.concatenate([[0], last[:-1]])) * target[0]
    ends = np.concatenate([np.sort(np.concatenate([inside, between])), [target[0] * target[1]]])
    return compress(np.diff(ends, prepend=0).tolist(), *target)


def _under(target: int, source: int) -> npt.NDArray[np.int64]:
    """(target,) int64: the source pixel under the centre of each target pixel, along one axis."""
    return (np.arange(target) * 2 + 1) * source // (2 * target)


def _merge(rle: Iterable[bytes], height: int, width: int, *, intersect: bool) -> bytes:
    items = _coco(rle if isinstance(rle, Ragged) else Ragged.from_list(rle), height, width)
    if not items:
        return encode(np.zeros((1, height, width), bool))[0]
    return bytes(coco.merge(items, intersect=intersect)["counts"])


def check(rle: Ragged, height: int, width: int) -> None:
    """Raises CorruptData, which says which string is damaged, unless all are those of (height, width) masks."""
    try:
        check_masks(rle, height, width)
    except ValueError as error:
        fix = "Run: pd verify, then pd verify --repair"
        raise CorruptData(f"a stored mask is damaged: {error}", "", fix) from None


def _coco(rle: Ragged, height: int, width: int) -> list[dict[str, Any]]:
    """What pycocotools takes. It trusts its input: bad runs make it read foreign memory, or loop for ever.

    Raises:
        CorruptData: a string is not that of a (height, width) mask.
    """
    check(rle, height, width)
    return [{"size": [height, width], "counts": counts} for counts in rle]
