"""Resampling of pictures through a :class:`~stages.kernels.warping.views.View`, on the host.

A square takes its pixels from a crop of the picture, which may be decoded at a fraction of its size: ``Crop``. Pixels
are interpolated linearly, and the window's border is continued half a pixel outwards, as in Pillow's transform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from stages.kernels.warping.bilinear import resample
from stages.kernels.warping.views import View, shrink_of

__all__ = ["GREY", "Crop", "crop", "recolour", "row_major", "turned", "warp"]

# Loaders have threads of their own; a second team under each of them would slow down the step that they feed.
cv2.setNumThreads(0)

GREY = 128
"""Value of each colour of the square outside the window, as in ``FixedSizeCrop``."""

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Crop:
    """The part of a picture that a square shows.

    Attributes:
        pixels: (h, w, 3) uint8, contiguous.
        to_pixels: (2, 3) float64, maps (x, y, 1) in the square to (x, y) in ``pixels``, with corners at integers.
    """

    pixels: Bytes
    to_pixels: Floats


def crop(pixels: Bytes, scale: tuple[float, float], view: View) -> Crop:
    """What ``view`` shows of a picture; if it shrinks by 2 or more, it is averaged down first, to avoid aliasing.

    Args:
        pixels: (h, w, 3) uint8, the picture at any size.
        scale: width and height of ``pixels`` relative to those of the picture that the view is about.
    """
    to_picture = view.to_window.copy()
    to_picture[:, 2] += view.columns.start, view.rows.start
    to_pixels = to_picture * np.array([[scale[0]], [scale[1]]])
    shrink = max(int(shrink_of(to_pixels)), 1)
    places = to_pixels @ np.array([[0, view.side, 0, view.side], [0, 0, view.side, view.side], [1, 1, 1, 1]])
    (x0, x1), (y0, y1) = (
        _part(axis, window.start * by, window.stop * by, length, shrink)
        for axis, window, by, length in zip(places, (view.columns, view.rows), scale, pixels.shape[1::-1], strict=True)
    )
    part = pixels[y0:y1, x0:x1]
    to_pixels[:, 2] -= x0, y0
    if shrink > 1:
        part, to_pixels = np.asarray(Image.fromarray(part).reduce(shrink)), to_pixels / shrink
    return Crop(np.ascontiguousarray(part), to_pixels)


def _part(places: Floats, first: float, last: float, length: int, shrink: int) -> tuple[int, int]:
    """Where the part begins and ends that holds all places, with a neighbour for each; inside the window.

    It holds whole groups of ``shrink`` pixels, which are averaged, from the window's first pixel on.
    """
    start = min(int(first), length - 1)
    stop = min(max(int(np.ceil(last)), start + 1), length)
    groups = np.floor((places.min() - start) / shrink) - 1, np.ceil((places.max() - start) / shrink) + 1
    low, high = (start + int(np.clip(group * shrink, 0, stop - start)) for group in groups)
    low = min(low, start + (stop - start - 1) // shrink * shrink)
    return low, min(max(high, low + shrink), stop)


def warp(part: Crop, view: View, out: Bytes) -> None:
    """Write the square to ``out``, (S, S, 3) uint8; where it shows no window it is :data:`GREY`."""
    rows, columns = (slice(0, view.side),) * 2 if view.is_turned else view.window_in_square
    out[: rows.start] = out[rows.stop :] = out[rows, : columns.start] = out[rows, columns.stop :] = GREY
    if rows.start == rows.stop:
        return
    # From here on, the middle of the first pixel is 0.
    to_pixels = part.to_pixels.copy()
    to_pixels[:, 2] += to_pixels[:, :2] @ (columns.start + 0.5, rows.start + 0.5) - 0.5
    if not view.is_turned:
        (along, _, x0), (_, down, y0) = to_pixels
        tall, wide = np.arange(rows.stop - rows.start), np.arange(columns.stop - columns.start)
        resample(part.pixels, y0 + down * tall, x0 + along * wide, out, (rows.start, columns.start))
        return
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (view.side, view.side)
    cv2.warpAffine(part.pixels, to_pixels, size, dst=out, flags=how, borderMode=cv2.BORDER_REPLICATE)
    window = np.ones((1, view.rows.stop - view.rows.start, view.columns.stop - view.columns.start), bool)
    out[~turned(window, view)[0]] = GREY


def turned(windows: Bools, view: View) -> Bools:
    """(N, h, w) bool, masks cut to the window -> (N, S, S) bool, as a turned view shows them.

    Eight masks are warped at a time, as the bits of one picture: Pillow is many times faster than indexing in NumPy.
    """
    out = np.empty((len(windows), view.side, view.side), bool)
    for first in range(0, len(windows), 8):
        eight = slice(first, first + 8)
        bits = (1 << np.arange(len(windows[eight]), dtype=np.uint8))[:, None, None]
        packed = Image.fromarray(np.bitwise_or.reduce(windows[eight] * bits, 0))
        form = Image.Transform.AFFINE, tuple(view.to_window.ravel()), Image.Resampling.NEAREST
        out[eight] = np.asarray(packed.transform((view.side, view.side), *form)) & bits
    return out


def row_major(masks: Bools, out: Sequence[Bools]) -> None:
    """Copy (N, R, C) masks, each column-major, to N row-major (R, C) bool. NumPy needs ten times as long."""
    for mask, target in zip(masks, out, strict=True):
        cv2.transpose(mask.T.view(np.uint8), dst=target.view(np.uint8))


def recolour(image: Bytes, mixed: Floats, contrast: Floats) -> None:
    """Every colour times a matrix, plus the picture's mean grey times ``contrast``; rounded and clipped, in place.

    Args:
        image: (S, S, 3) uint8, contiguous.
        mixed: (3, 3), old channel by new channel.
        contrast: (3,), of each new channel.
    """
    mean = sum(cv2.mean(image)[:3]) / 3
    cv2.transform(image, np.column_stack([mixed.T, mean * contrast]), dst=image)
