"""Masks -> polygons along the edges of their pixels, from which the even-odd rule gives the same masks again."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["mask_polygons"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Ring = list[tuple[int, int]]


def mask_polygons(mask: Bools) -> list[list[int]]:
    """One polygon for each 4-connected piece of a mask, with its holes cut into it along seams.

    A seam is a line from the border of a hole to the nearest corner of the polygon and back, so it encloses nothing.
    All corners are corners of pixels: (0, 0) is the upper left corner of the first pixel.

    Cost: linear in the number of pixels of the mask's box and, for each hole, in the number of corners of its piece.

    Args:
        mask: (H, W) bool.

    Returns:
        Polygons [x, y, x, y, …], each of at least four corners, clockwise as one sees them. As ``pycocotools`` draws
        them, their union is the mask, pixel for pixel.
    """
    y, x = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    if not len(y):
        return []
    inside = np.pad(mask[y[0] : y[-1] + 1, x[0] : x[-1] + 1], 1)
    outer: list[Ring] = []
    holes: list[Ring] = []
    for ring in _rings(inside):
        # The upper left corner of a ring is that of a pixel inside the mask, or of a pixel of a hole.
        (outer if inside[ring[0][1] + 1, ring[0][0] + 1] else holes).append(ring)
    if holes:
        _, pieces = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4)
        of_piece = {int(pieces[ring[0][1] + 1, ring[0][0] + 1]): number for number, ring in enumerate(outer)}
        for ring in holes:
            number = of_piece[int(pieces[ring[0][1], ring[0][0] + 1])]
            outer[number] = _with_hole(outer[number], ring)
    return [[c for corner in ring for c in (corner[0] + int(x[0]), corner[1] + int(y[0]))] for ring in outer]


def _rings(inside: Bools) -> list[Ring]:
    """Closed borders, each from its upper left corner along the upper edge of a pixel, in coordinates without padding.

    In each row of corners, the first and second are the ends of an edge, the third and fourth, …; so they are in each
    column. A ring follows a row and a column in turn.
    """
    a, b, c, d = inside[:-1, :-1], inside[:-1, 1:], inside[1:, :-1], inside[1:, 1:]
    crossed = (a == d) & (b == c) & (a != b)
    y, x = np.nonzero((a ^ b ^ c ^ d) | crossed)
    # Where two pixels touch at a corner alone, there are two corners: one of the edges at the left, one at the right.
    twice = crossed[y, x]
    y, x, is_first = np.repeat(y, twice + 1), np.repeat(x, twice + 1), np.ones(len(y) + int(twice.sum()), bool)
    is_first[np.flatnonzero((np.diff(y) == 0) & (np.diff(x) == 0)) + 1] = False
    # The left corner goes up if the pixel at its upper left is inside, otherwise down: the two pieces stay apart.
    goes_up = np.where(a[y, x], is_first, ~is_first)
    along_row = _partners(np.lexsort([~is_first, x, y]))
    along_column = _partners(np.lexsort([~goes_up, y, x]))
    corners, seen, rings = list(zip(x.tolist(), y.tolist(), strict=True)), [False] * len(x), []
    for start in range(len(corners)):
        ring: Ring = []
        at = start
        while not seen[at]:
            beside = along_row[at]
            seen[at] = seen[beside] = True
            ring += [corners[at], corners[beside]]
            at = along_column[beside]
        if ring:
            rings.append(ring)
    return rings


def _partners(order: Ints) -> list[int]:
    partner = np.empty(len(order), np.int64)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    found: list[int] = partner.tolist()
    return found


def _with_hole(ring: Ring, hole: Ring) -> Ring:
    """The ring with a seam from its corner that is nearest to the hole's upper left one, around the hole, and back."""
    corners, start = np.array(ring), np.array(hole[0])
    nearest = int(np.abs(corners - start).sum(1).argmin())
    # The hole is followed the other way round, so that other rules than even-odd leave it empty, too.
    return [*ring[: nearest + 1], hole[0], *hole[:0:-1], hole[0], *ring[nearest:]]
