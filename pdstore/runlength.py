"""COCO compressed run lengths as numbers, to check strings from other programs before pycocotools reads them.

pycocotools trusts its input: if a string is too short, it fills the mask with whatever is in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from pdstore.ragged import Ragged

__all__ = ["check_masks", "check_run_lengths", "compress", "run_lengths"]

Ints = npt.NDArray[np.int64]
_MAX_DIGITS = 7
"""The most groups of five bits in one number: as many as 32 bits need."""


def run_lengths(counts: bytes) -> npt.NDArray[np.int64]:
    """(R,) int64: pixels of each run. Runs are outside and inside the mask in turn; the first is outside.

    A number is written in groups of five bits, lowest first, each as a character from ``0`` on; the bit of value 32
    says that another group follows. From the fourth on, a number is the difference from the run before last.

    Raises:
        ValueError: the string holds a character or a number that is not valid.
    """
    groups = np.frombuffer(counts, np.uint8).astype(np.int64) - ord("0")
    if len(groups) == 0:
        raise ValueError("no characters")
    if groups.min() < 0 or groups.max() > 63:
        place = int(np.flatnonzero((groups < 0) | (groups > 63))[0])
        raise ValueError(f"character {chr(counts[place])!r} at {place}")
    ends = np.flatnonzero(groups & 32 == 0)
    if len(ends) == 0 or ends[-1] != len(groups) - 1:
        raise ValueError("a last number that is cut off")
    digits = np.diff(ends, prepend=-1)
    if digits.max() > _MAX_DIGITS:
        raise ValueError(f"a number of {digits.max()} characters")
    numbers = _numbers(groups, ends, digits)
    for first in (1, 2):
        numbers[first::2] = np.cumsum(numbers[first::2])
    return numbers


def check_run_lengths(counts: bytes, height: int, width: int) -> None:
    """Raises ValueError unless these are the runs of a (height, width) mask."""
    runs = run_lengths(counts)
    if runs.min() < 0:
        raise ValueError(f"a run of {runs.min()} pixels")
    _check_sum(int(runs.sum()), height, width)


def check_masks(rle: Ragged, height: int, width: int) -> None:
    """Raises ValueError, which names the first bad one, unless all are the runs of (height, width) masks.

    All strings are checked at once: several times as fast as one by one. Cost: linear in their bytes.
    """
    if len(rle) and not _are_runs(rle, height * width):
        for number, counts in enumerate(rle):
            try:
                check_run_lengths(counts, height, width)
            except ValueError as error:
                raise ValueError(f"mask {number} of {len(rle)}: {error}") from None
        raise AssertionError("one of the strings is bad")


def _are_runs(rle: Ragged, pixels: int) -> bool:
    """True if each string holds valid numbers, and runs that are not negative and add up to ``pixels``."""
    groups, offsets = rle.data.astype(np.int64) - ord("0"), rle.offsets.astype(np.int64)
    if (offsets[1:] == offsets[:-1]).any() or groups.min() < 0 or groups.max() > 63:
        return False
    is_end = groups & 32 == 0
    ends = np.flatnonzero(is_end)
    digits = np.diff(ends, prepend=-1)
    if not is_end[offsets[1:] - 1].all() or digits.max() > _MAX_DIGITS:
        return False
    numbers = _numbers(groups, ends, digits)
    first = np.searchsorted(ends, offsets[:-1])
    place = np.arange(len(numbers)) - np.repeat(first, np.diff(first, append=len(numbers)))
    runs = numbers.copy()
    for parity in (0, 1):
        # The first number of a string stands alone; the others are differences from the last but one.
        is_chained = (place % 2 == parity) & (place > 0)
        sums = np.cumsum(np.where(is_chained, numbers, 0))
        before = np.repeat(np.where(first > 0, sums[first - 1], 0), np.diff(first, append=len(numbers)))
        runs[is_chained] = (sums - before)[is_chained]
    return bool(runs.min() >= 0 and (np.add.reduceat(runs, first) == pixels).all())


def _numbers(groups: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], digits: npt.NDArray[np.int64]) -> Ints:
    """The signed numbers that groups of five bits spell, each of ``digits`` groups up to its end."""
    starts = ends - digits + 1
    within = np.arange(len(groups)) - np.repeat(starts, digits)
    numbers = np.add.reduceat((groups & 31) << 5 * within, starts)
    # The highest bit of a number is its sign.
    numbers -= np.where(groups[ends] & 16, 1 << 5 * digits, 0)
    return np.asarray(numbers, np.int64)


def compress(runs: Sequence[object], height: int, width: int) -> bytes:
    """Runs, outside and inside the mask in turn and the first outside -> the run-length string.

    Raises:
        ValueError: the runs are not those of a (height, width) mask.
    """
    lengths = [run for run in runs if isinstance(run, int) and run >= 0]
    if len(lengths) < len(runs):
        bad = next(run for run in runs if not isinstance(run, int) or run < 0)
        raise ValueError(f"a run of {bad!r} pixels")
    _check_sum(sum(lengths), height, width)
    return bytes(coco.frPyObjects({"size": [height, width], "counts": lengths}, height, width)["counts"])


def _check_sum(pixels: int, height: int, width: int) -> None:
    if pixels != height * width:
        raise ValueError(f"runs of {pixels} pixels in all, for a mask of {height} x {width} = {height * width}")
