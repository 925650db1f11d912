"""Compiled loops over the runs of several masks: intersections, differences and unions.

Masks are ``ends`` and ``offsets``, as in :mod:`pdstore.runs.kernels`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore.runs.compiled import compiled

__all__ = ["claim", "cut", "unite"]

Ints = npt.NDArray[np.int64]


@compiled
def room(array: Ints, size: int) -> Ints:
    """``array``, or a longer copy of it that holds at least ``size`` numbers."""
    if size <= len(array):
        return array
    longer = np.empty(max(size, 2 * len(array)), np.int64)
    longer[: len(array)] = array
    return longer


@compiled
def common(a: Ints, i: int, i_stop: int, b: Ints, j: int, j_stop: int, out: Ints, at: int) -> int:
    """Append the runs inside both masks at ``at``; the place after them."""
    while i + 1 < i_stop and j + 1 < j_stop:
        begin, end = max(a[i], b[j]), min(a[i + 1], b[j + 1])
        if begin < end:
            out[at], out[at + 1] = begin, end
            at += 2
        if a[i + 1] < b[j + 1]:
            i += 2
        else:
            j += 2
    return at


@compiled
def without(a: Ints, i: int, i_stop: int, b: Ints, j: int, j_stop: int, out: Ints) -> int:
    """Write the runs inside ``a`` and not inside ``b``; how many numbers that are."""
    at = 0
    while i + 1 < i_stop:
        begin, end = a[i], a[i + 1]
        while j + 1 < j_stop and b[j + 1] <= begin:
            j += 2
        while j + 1 < j_stop and b[j] < end and begin < end:
            if begin < b[j]:
                out[at], out[at + 1] = begin, b[j]
                at += 2
            begin = b[j + 1]
            if begin < end:
                j += 2
        if begin < end:
            out[at], out[at + 1] = begin, end
            at += 2
        i += 2
    return at


@compiled
def either(a: Ints, i: int, i_stop: int, b: Ints, j: int, j_stop: int, out: Ints) -> int:
    """Write the runs inside ``a`` or ``b``, joined where they meet; how many numbers that are."""
    at = 0
    while i + 1 < i_stop or j + 1 < j_stop:
        if j + 1 >= j_stop or (i + 1 < i_stop and a[i] <= b[j]):
            begin, end = a[i], a[i + 1]
            i += 2
        else:
            begin, end = b[j], b[j + 1]
            j += 2
        if begin == end:
            continue
        if at > 0 and begin <= out[at - 1]:
            out[at - 1] = max(out[at - 1], end)
        else:
            out[at], out[at + 1] = begin, end
            at += 2
    return at


@compiled
def cut(ends: Ints, offsets: Ints, other: Ints) -> tuple[Ints, Ints]:
    """The intersection of each mask with one other mask."""
    out, starts, at = np.empty(len(ends) + 1, np.int64), np.zeros(len(offsets), np.int64), 0
    for number in range(len(offsets) - 1):
        first, stop = offsets[number], offsets[number + 1]
        out = room(out, at + stop - first + len(other) + 1)
        at = common(ends, first, stop, other, 0, len(other), out, at)
        out[at] = other[-1]
        at += 1
        starts[number + 1] = at
    return out[:at].copy(), starts


@compiled
def claim(ends: Ints, offsets: Ints, order: Ints, free: Ints) -> tuple[Ints, Ints]:
    """In this order, each mask gets what is still free of it. Masks that are not in the order get nothing."""
    count, pixels = len(offsets) - 1, free[-1]
    left, left_size, spare = free.copy(), len(free), np.empty(len(free), np.int64)
    got, at = np.empty(len(ends) + 1, np.int64), 0
    first, stop = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for number in order:
        i, i_stop = offsets[number], offsets[number + 1]
        size = i_stop - i + left_size + 1
        got, spare = room(got, at + size), room(spare, size)
        first[number] = at
        at = common(ends, i, i_stop, left, 0, left_size, got, at)
        stop[number] = at
        if first[number] < at:
            left_size = without(left, 0, left_size, ends, i, i_stop, spare)
            left, spare = spare, left
    out, starts, at = np.empty(at + count, np.int64), np.zeros(count + 1, np.int64), 0
    for number in range(count):
        for i in range(first[number], stop[number]):
            out[at] = got[i]
            at += 1
        out[at] = pixels
        at += 1
        starts[number + 1] = at
    return out, starts


@compiled
def unite(ends: Ints, offsets: Ints, members: Ints, bounds: Ints, pixels: int) -> tuple[Ints, Ints]:
    """The union of each group of masks; group g has the masks ``members[bounds[g]:bounds[g + 1]]``."""
    out, starts, at = np.empty(len(ends) + 1, np.int64), np.zeros(len(bounds), np.int64), 0
    whole, spare = np.empty(0, np.int64), np.empty(0, np.int64)
    for group in range(len(bounds) - 1):
        size = 0
        for number in members[bounds[group] : bounds[group + 1]]:
            i, i_stop = offsets[number], offsets[number + 1]
            spare = room(spare, size + i_stop - i + 1)
            size = either(whole, 0, size, ends, i, i_stop, spare)
            whole, spare = spare, whole
        out = room(out, at + size + 1)
        out[at : at + size] = whole[:size]
        out[at + size] = pixels
        at += size + 1
        starts[group + 1] = at
    return out[:at].copy(), starts
