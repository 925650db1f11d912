"""Arithmetic on the runs of many masks at once: no pixel is painted, so cost grows with runs and not with pixels.

Strings are read once (:func:`read`), worked on, and written once (:func:`strings`). The strings are those that
:func:`pdstore.masks.encode` gives for the same masks, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore import masks
from pdstore.ragged import Ragged
from pdstore.runs import kernels, set_kernels

__all__ = [
    "Runs",
    "areas",
    "areas_inside",
    "boxes",
    "full",
    "intersect",
    "one_per_pixel",
    "read",
    "shares_inside",
    "strings",
    "to_labels",
    "unions",
]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Runs:
    """N masks of (height, width) as runs, which are outside and inside the mask in turn; the first is outside.

    Attributes:
        ends: (R,) int64, the place at which each run ends; places are counted column by column.
        offsets: (N + 1,) int64, the runs of mask n are those from ``offsets[n]`` to before ``offsets[n + 1]``.
    """

    ends: Ints
    offsets: Ints
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, index: npt.ArrayLike) -> Runs:
        """The masks at ``index`` ((M,) int or (N,) bool), in that order."""
        picked = np.arange(len(self))[np.asarray(index)]
        ends = np.empty(np.diff(self.offsets)[picked].sum(), np.int64)
        offsets = np.zeros(len(picked) + 1, np.int64)
        kernels.take(self.ends, self.offsets, picked, ends, offsets)
        return Runs(ends, offsets, self.height, self.width)


def read(rle: Ragged, height: int, width: int) -> Runs:
    """N run-length strings of (height, width) masks -> their runs. Cost: linear in the bytes.

    Raises:
        CorruptData: a string is not that of a (height, width) mask.
    """
    data = np.ascontiguousarray(rle.data).view()
    data.setflags(write=False)
    ends, offsets = np.empty(len(data), np.int64), np.zeros(len(rle) + 1, np.int64)
    if kernels.read(data, rle.offsets.astype(np.int64), height * width, ends, offsets) >= 0:
        masks.check(rle, height, width)
        raise AssertionError("one of the strings is bad")
    return Runs(ends[: offsets[-1]], offsets, height, width)


def strings(runs: Runs) -> Ragged:
    """(N,) run-length strings, as :func:`pdstore.masks.encode` writes them."""
    # A difference of 32-bit runs has at most 7 groups of five bits; an end may need one run more than was read.
    out = np.empty(7 * (len(runs.ends) + len(runs)), np.uint8)
    bounds = np.zeros(len(runs) + 1, np.int64)
    kernels.write(runs.ends, runs.offsets, out, bounds)
    return Ragged(out[: bounds[-1]].copy(), bounds.astype(np.uint64))


def full(height: int, width: int) -> Runs:
    """One mask that covers the frame."""
    pixels = height * width
    return Runs(np.array([0, pixels, pixels]), np.array([0, 3]), height, width)


def to_labels(runs: Runs) -> npt.NDArray[np.int16]:
    """(H, W) int16: 1 .. N for the pixels of each mask, where masks overlap that of the last one; 0 is in none."""
    labels = np.zeros((runs.height, runs.width), np.int16)
    kernels.paint(runs.ends, runs.offsets, labels)
    return labels


def areas(runs: Runs) -> Ints:
    """(N,) int64: number of pixels in each mask."""
    found = np.zeros(len(runs), np.int64)
    kernels.areas(runs.ends, runs.offsets, found)
    return found


def boxes(runs: Runs) -> npt.NDArray[np.float32]:
    """(N, 4) float32: x0, y0, width, height in pixels; zeros for an empty mask."""
    found = np.zeros((len(runs), 4), np.float32)
    kernels.boxes(runs.ends, runs.offsets, runs.height, found)
    return found


def areas_inside(runs: Runs, whole: Runs) -> Ints:
    """(N,) int64: number of pixels that each mask shares with the one mask ``whole``."""
    found = np.zeros(len(runs), np.int64)
    kernels.overlaps(runs.ends, runs.offsets, _only(whole, runs), found)
    return found


def shares_inside(runs: Runs, whole: Runs) -> npt.NDArray[np.float64]:
    """(N,) float64: which share of each mask's pixels is in the one mask ``whole``; 0 for an empty mask."""
    return np.asarray(areas_inside(runs, whole) / np.maximum(areas(runs), 1), np.float64)


def intersect(runs: Runs, whole: Runs) -> Runs:
    """N masks, each cut to the one mask ``whole``."""
    return Runs(*set_kernels.cut(runs.ends, runs.offsets, _only(whole, runs)), runs.height, runs.width)


def one_per_pixel(runs: Runs, order: npt.ArrayLike, whole: Runs) -> Runs:
    """N disjoint masks: each pixel of ``whole`` stays with the first mask in this order that covers it.

    Cost: per mask, its runs and those of what is left of ``whole``.

    Args:
        order: (M,) int, numbers of masks, the best first. Masks that are not among them become empty.
    """
    # A copy: an array that is read-only or reversed is another type, for which the loop would be compiled again.
    chosen = np.array(order, np.int64, order="C")
    if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(runs):
        raise ValueError(f"order must hold numbers from 0 to {len(runs) - 1}, got {chosen.min()} to {chosen.max()}")
    return Runs(*set_kernels.claim(runs.ends, runs.offsets, chosen, _only(whole, runs)), runs.height, runs.width)


def unions(runs: Runs, members: npt.ArrayLike, groups: npt.ArrayLike, num_groups: int) -> Runs:
    """``num_groups`` masks: mask g is the union of those masks whose group is g; an empty mask if there are none.

    Args:
        members: (M,) int, numbers of masks; one mask may be in several groups.
        groups: (M,) int, the group of each, from 0 to ``num_groups`` - 1.
    """
    numbers, group = np.asarray(members, np.int64), np.asarray(groups, np.int64)
    for name, values, limit in (("members", numbers, len(runs)), ("groups", group, num_groups)):
        if len(values) and not 0 <= values.min() <= values.max() < limit:
            raise ValueError(f"{name} must be from 0 to {limit - 1}, got {values.min()} to {values.max()}")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=num_groups))])
    ordered = numbers[np.argsort(group, kind="stable")]
    united = set_kernels.unite(runs.ends, runs.offsets, ordered, bounds, runs.height * runs.width)
    return Runs(*united, runs.height, runs.width)


def _only(whole: Runs, runs: Runs) -> Ints:
    """The runs of the one mask ``whole``, which must be in the frame of ``runs``."""
    if len(whole) != 1 or (whole.height, whole.width) != (runs.height, runs.width):
        frame, other = f"{runs.height} x {runs.width}", f"{whole.height} x {whole.width}"
        raise ValueError(f"expected one mask of {frame}, got {len(whole)} of {other}")
    return whole.ends
