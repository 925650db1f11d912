"""Compiled loops that turn the places at which masks or labels change into runs.

Masks are ``ends`` and ``offsets``, as in :mod:`pdstore.runs.kernels`; places are counted column by column.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore.runs.compiled import compiled

__all__ = ["closed", "label_segments", "mask_runs"]

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
STEP = 8
"""Pixels of a word."""
NONE, ALL = np.uint64(0), np.uint64(0x0101010101010101)
"""The words of pixels that are all outside, and all inside."""


@compiled
def room(array: Ints, size: int) -> Ints:
    """``array``, or a longer copy of it that holds at least ``size`` numbers."""
    if size <= len(array):
        return array
    longer = np.empty(2 * size, np.int64)
    longer[: len(array)] = array
    return longer


@compiled
def closed(places: Ints, counts: Ints, pixels: int) -> tuple[Ints, Ints]:
    """The places of each of N masks, and the last pixel after them."""
    ends, offsets = np.empty(len(places) + len(counts), np.int64), np.zeros(len(counts) + 1, np.int64)
    read = 0
    for number in range(len(counts)):
        at = offsets[number]
        for _ in range(counts[number]):
            ends[at] = places[read]
            at += 1
            read += 1
        ends[at] = pixels
        offsets[number + 1] = at + 1
    return ends, offsets


@compiled
def next_other(words: Words, place: int, same: np.uint64) -> int:
    """The first place from ``place`` on whose word is not ``same``; the number of words if there is none."""
    while place + STEP <= len(words):
        differs = NONE
        for i in range(STEP):  # without a branch, so that it is compiled to wide instructions
            differs |= words[place + i] ^ same
        if differs != NONE:
            break
        place += STEP
    while place < len(words) and words[place] == same:
        place += 1
    return place


@compiled
def mask_runs(flat: npt.NDArray[np.uint8], words: Words, pixels: int) -> tuple[Ints, Ints]:
    """Rows of 0 and 1, column by column, and the same bytes as words -> the runs of N masks of so many pixels.

    Rows are filled up to whole words; what fills them is not read as pixels.
    """
    out, offsets, at = np.empty(0, np.int64), np.zeros(len(flat) + 1, np.int64), 0
    for number in range(len(flat)):
        row, line = flat[number], words[number]
        before, same = np.uint8(0), NONE
        place = next_other(line, 0, same)
        while place < len(line):
            out = room(out, at + STEP)
            for i in range(STEP * place, min(STEP * place + STEP, pixels)):
                if row[i] != before:
                    out[at], before = i, row[i]
                    at += 1
            same = ALL if before else NONE
            place = next_other(line, place + 1, same)
        out = room(out, at + 1)
        out[at] = pixels
        at += 1
        offsets[number + 1] = at
    return out[:at].copy(), offsets


@compiled
def label_segments(places: Ints, labels: Ints, count: int, pixels: int) -> tuple[Ints, Ints]:
    """Segments, each from its place to the next one's, and their labels -> the masks of the labels 0 .. count - 1."""
    starts = np.zeros(count + 1, np.int64)
    for label in labels:
        if 0 <= label < count:
            starts[label + 1] += 2
    for label in range(count):
        starts[label + 1] += starts[label] + 1
    out, filled = np.full(starts[-1], pixels, np.int64), starts[:-1].copy()
    for i in range(len(labels)):
        label = labels[i]
        if 0 <= label < count:
            out[filled[label]] = places[i]
            out[filled[label] + 1] = places[i + 1] if i + 1 < len(places) else pixels
            filled[label] += 2
    return out, starts
