"""Compiled loops over the runs of masks, one mask at a time: strings, areas, boxes.

N masks are two arrays. ``ends`` (R,) int64 holds the place, column by column, at which each run ends; those of mask n
are ``ends[offsets[n]:offsets[n + 1]]``, with ``offsets`` (N + 1,) int64. Runs are outside and inside the mask in turn,
the first is outside, and the last ends at the number of pixels. So ``ends[i]`` to ``ends[i + 1]`` is inside the mask
where i is at an even distance from the mask's first run. A run may be empty.

:mod:`pdstore.runs.algebra` checks what comes in, and gives every argument one type, so that each function is compiled
once. A function calls only functions of its own module: numba's cache sees no change of another.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore.runs.compiled import compiled

__all__ = ["areas", "boxes", "overlaps", "read", "take", "write"]

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@compiled
def read(data: Bytes, bounds: Ints, pixels: int, ends: Ints, offsets: Ints) -> int:
    """Strings -> runs. Returns the number of the first string that is not that of a mask of ``pixels``; -1 if none."""
    filled = 0
    for number in range(len(bounds) - 1):
        place, stop = bounds[number], bounds[number + 1]
        total, last, last_but_one = np.int64(0), np.int64(0), np.int64(0)
        count = 0
        while place < stop:
            length, digits, more = np.int64(0), 0, True
            while more:
                if place == stop or digits == 7:
                    return number
                group = np.int64(data[place]) - 48
                if group < 0 or group > 63:
                    return number
                length |= (group & 31) << (5 * digits)
                more = (group & 32) != 0
                place += 1
                digits += 1
                if not more and (group & 16) != 0:
                    length |= np.int64(-1) << (5 * digits)
            if count > 2:
                length += last_but_one
            if length < 0 or length > pixels - total:
                return number
            total += length
            ends[filled] = total
            last_but_one, last = last, length
            filled += 1
            count += 1
        if count == 0 or total != pixels:
            return number
        offsets[number + 1] = filled
    return -1


@compiled
def write_run(out: Bytes, at: int, length: int, last_but_one: int, count: int) -> int:
    """Append one run's characters at ``at``; the place after them."""
    number = length - last_but_one if count > 2 else length
    more = True
    while more:
        group = number & 31
        number >>= 5
        more = number != -1 if group & 16 else number != 0
        out[at] = 48 + group + (32 if more else 0)
        at += 1
    return at


@compiled
def write(ends: Ints, offsets: Ints, out: Bytes, bounds: Ints) -> None:
    """Runs -> strings without empty runs but the first; ``out`` must hold 7 characters per run and mask."""
    at = 0
    for number in range(len(offsets) - 1):
        first, stop = offsets[number], offsets[number + 1]
        place, count, last, last_but_one = 0, 0, 0, 0
        i = first
        while i + 1 < stop:
            begin, end = ends[i], ends[i + 1]
            i += 2
            if begin == end:
                continue
            while i + 1 < stop and (ends[i] == end or ends[i] == ends[i + 1]):
                end = ends[i + 1] if ends[i] == end else end
                i += 2
            for length in (begin - place, end - begin):
                at = write_run(out, at, length, last_but_one, count)
                last_but_one, last = last, length
                count += 1
            place = end
        if place < ends[stop - 1]:
            at = write_run(out, at, ends[stop - 1] - place, last_but_one, count)
        bounds[number + 1] = at


@compiled
def take(ends: Ints, offsets: Ints, index: Ints, out: Ints, starts: Ints) -> None:
    """The masks at ``index``, in that order."""
    filled = 0
    for number in range(len(index)):
        for i in range(offsets[index[number]], offsets[index[number] + 1]):
            out[filled] = ends[i]
            filled += 1
        starts[number + 1] = filled


@compiled
def areas(ends: Ints, offsets: Ints, out: Ints) -> None:
    """Pixels of each mask."""
    for number in range(len(offsets) - 1):
        for i in range(offsets[number], offsets[number + 1] - 1, 2):
            out[number] += ends[i + 1] - ends[i]


@compiled
def paint(ends: Ints, offsets: Ints, labels: npt.NDArray[np.int16]) -> None:
    """Label n + 1 at the pixels of mask n, one mask after the other."""
    height = labels.shape[0]
    for number in range(len(offsets) - 1):
        for i in range(offsets[number], offsets[number + 1] - 1, 2):
            x, y = divmod(ends[i], height)
            for _ in range(ends[i + 1] - ends[i]):
                labels[y, x] = number + 1
                y += 1
                if y == height:
                    x, y = x + 1, 0


@compiled
def boxes(ends: Ints, offsets: Ints, height: int, out: npt.NDArray[np.float32]) -> None:
    """(N, 4): x0, y0, width, height; ``out`` is zero before."""
    for number in range(len(offsets) - 1):
        is_empty = True
        left, right, top, bottom = 0, 0, 0, 0
        for i in range(offsets[number], offsets[number + 1] - 1, 2):
            if ends[i] == ends[i + 1]:
                continue
            (x0, y0), (x1, y1) = divmod(ends[i], height), divmod(ends[i + 1] - 1, height)
            if x0 < x1:
                # The run goes on at the top of the next column, so it has both the last row and the first.
                y0, y1 = 0, height - 1
            left = x0 if is_empty else left
            top, bottom = (y0, y1) if is_empty else (min(top, y0), max(bottom, y1))
            right, is_empty = x1, False
        if not is_empty:
            out[number] = left, top, right - left + 1, bottom - top + 1


@compiled
def overlaps(ends: Ints, offsets: Ints, other: Ints, out: Ints) -> None:
    """Pixels that each mask shares with one other mask."""
    for number in range(len(offsets) - 1):
        i, j, stop = offsets[number], 0, offsets[number + 1]
        while i + 1 < stop and j + 1 < len(other):
            shared = min(ends[i + 1], other[j + 1]) - max(ends[i], other[j])
            if shared > 0:
                out[number] += shared
            if ends[i + 1] < other[j + 1]:
                i += 2
            else:
                j += 2
