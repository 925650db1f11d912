"""Fully connected CRF over part labels (Krähenbühl and Koltun, NIPS 2011), on the CPU.

Two engines compute the same: lattices of our own (:mod:`stages.kernels.permutohedral`), and pydensecrf, the reference.
Both look only at the part of the picture around the object, because kernels have widths.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stages.kernels.cut import Cut, most_likely
from stages.kernels.permutohedral import Lattice, mean_field

__all__ = ["TooLarge", "dense_crf", "masks_of_labels", "paint", "smooth"]

_CELLS = 1e7
"""Most kernel widths along an image. Beyond, float32 positions run together, and then pydensecrf crashes."""
_CORNERS = 6
"""Corners of a cell in (x, y, red, green, blue), each of which is stored for each pixel."""
_INT_MAX = 2**31 - 1

Labels = npt.NDArray[np.int16]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Engine = Literal["lattice", "pydensecrf"]


class TooLarge(OverflowError):
    """A CRF for an image of this size cannot be computed."""


def dense_crf(
    image: Bytes,
    labels: npt.NDArray[np.integer],
    num_labels: int,
    *,
    gt_prob: float = 0.7,
    gaussian_sxy: float = 3.0,
    gaussian_compat: float = 3.0,
    bilateral_sxy: float = 20.0,
    bilateral_srgb: float = 13.0,
    bilateral_compat: float = 10.0,
    iterations: int = 10,
    long_side: int = 0,
    margin: float | None = 2.0,
    engine: Engine = "lattice",
) -> Labels:
    """Refine a label map so that its borders follow the image.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) int, 0 = background, 1..num_labels − 1 = parts. The background is a label like the others, so
            parts may grow beyond the object.
        gt_prob: probability that an input label is right, in (0, 1).
        gaussian_sxy, bilateral_sxy: standard deviations in pixels (of the scaled image, with ``long_side``).
        bilateral_srgb: standard deviation in grey levels.
        gaussian_compat, bilateral_compat: Potts weights.
        long_side: scale image and labels so that the longer side has this many pixels; 0 computes at full size.
        margin: cut the image to the box of all parts and a margin of this many standard deviations of the wider of the
            two kernels; outside everything is background. None computes the whole image.
        engine: ``pydensecrf`` is the reference.

    Returns:
        (H, W) int16, values 0..num_labels − 1; all zero if there is only one label, or no part to cut out.

    Cost: linear in pixels of the cut × labels × iterations.

    Raises:
        ValueError: if the shapes differ, the image has no pixels, or a label is outside 0..num_labels − 1.
        TooLarge: if the image is too large.
    """
    _check(image, labels, num_labels)
    image, scaled = _scaled(image, labels, long_side)
    _check_size(scaled.shape, num_labels, min(gaussian_sxy, bilateral_sxy), bilateral_srgb)
    cut = Cut.around(scaled, None if margin is None else math.ceil(margin * max(gaussian_sxy, bilateral_sxy)))
    if cut is None or num_labels == 1:
        return np.zeros(labels.shape, np.int16)
    gaussian, bilateral = (gaussian_sxy, gaussian_compat), (bilateral_sxy, bilateral_srgb, bilateral_compat)
    infer = _by_lattice if engine == "lattice" else _by_pydensecrf
    chances = infer(image, scaled, cut, num_labels, gt_prob, gaussian, bilateral, iterations)
    return most_likely(chances, cut, labels.shape)


def paint(stack: Bools) -> Labels:
    """(M, H, W) masks -> (H, W) label map: 1..M, where masks overlap the last one wins; 0 is background."""
    numbers = np.arange(1, len(stack) + 1, dtype=np.int16)[:, None, None]
    return np.asarray((stack * numbers).max(0, initial=0), np.int16)


def masks_of_labels(labels: Labels, count: int) -> Bools:
    """(H, W) label map -> (count, H, W) disjoint masks of the labels 1..count; the inverse of :func:`paint`."""
    return np.asarray(labels == np.arange(1, count + 1)[:, None, None])


def smooth(image: Bytes, stack: Bools, **parameters: Any) -> Bools:
    """The masks of one object after a dense CRF: disjoint, in the same order; some may be empty.

    The background is a label like the others, so a mask may grow beyond its former area.

    Args:
        image: (H, W, 3) uint8 RGB.
        stack: (M, H, W) bool.
        parameters: of :func:`dense_crf`.

    Returns:
        (M, H, W) bool.
    """
    return masks_of_labels(dense_crf(image, paint(stack), len(stack) + 1, **parameters), len(stack))


def _check(image: Bytes, labels: npt.NDArray[np.integer], num_labels: int) -> None:
    if image.dtype != np.uint8 or image.shape != (*labels.shape, 3):
        raise ValueError(f"image must be {(*labels.shape, 3)} uint8 like the labels, got {image.shape} {image.dtype}")
    if labels.size == 0:
        raise ValueError("the image has no pixels, so there are no labels to refine")
    if labels.min() < 0 or labels.max() >= num_labels:
        raise ValueError(f"labels must be 0..{num_labels - 1}, got {labels.min()}..{labels.max()}")


def _check_size(shape: tuple[int, ...], num_labels: int, width_px: float, width_grey: float) -> None:
    fix = "Let the image be scaled down, such as with long_side=640, or choose wider kernels"
    if not (max(shape) <= _CELLS * width_px and _CELLS * width_grey >= 255):
        problem = f"a CRF with kernels of {width_px:g} pixels and {width_grey:g} grey levels cannot tell apart"
        raise TooLarge(f"{problem} the pixels of an image of {shape[1]}x{shape[0]}. {fix}")
    if shape[0] * shape[1] * max(num_labels, _CORNERS) > _INT_MAX:
        problem = f"the CRF computes at most {_INT_MAX} values, found {shape[1]}x{shape[0]} pixels"
        raise TooLarge(f"{problem} with {num_labels} labels. {fix}")


def _scaled(image: Bytes, labels: npt.NDArray[np.integer], long_side: int) -> tuple[Bytes, npt.NDArray[np.integer]]:
    height, width = labels.shape
    scale = long_side / max(height, width) if long_side else 1.0
    size = max(1, round(height * scale)), max(1, round(width * scale))
    if size == (height, width):
        return image, labels
    from PIL import Image

    scaled_image = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
    scaled_labels = Image.fromarray(labels.astype(np.int32)).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(scaled_image, np.uint8), np.asarray(scaled_labels, np.int32)


def _by_lattice(
    image: Bytes,
    labels: npt.NDArray[np.integer],
    cut: Cut,
    num_labels: int,
    gt_prob: float,
    gaussian: tuple[float, float],
    bilateral: tuple[float, float, float],
    iterations: int,
) -> Floats:
    """(h, w, num_labels) float32: mean-field marginals of the cut.

    Positions are those in the whole image, so that the lattices' cells lie as they would without the cut.
    """
    y, x = (np.arange(side.start, side.stop, dtype=np.float32) for side in (cut.rows, cut.columns))
    points = np.empty((5, *cut.shape), np.float32)
    kernels = []
    points[2:] = cut.of(image).transpose(2, 0, 1) / np.float32(bilateral[1])
    for dimensions, width_px, weight in ((2, *gaussian), (5, bilateral[0], bilateral[2])):
        points[0], points[1] = x / np.float32(width_px), y[:, None] / np.float32(width_px)
        kernels.append((Lattice.of(points[:dimensions].reshape(dimensions, -1)), weight))
    flat = np.ascontiguousarray(cut.of(labels), np.int32).ravel()
    return mean_field(flat, num_labels, gt_prob, kernels, iterations).reshape(*cut.shape, num_labels)


def _by_pydensecrf(
    image: Bytes,
    labels: npt.NDArray[np.integer],
    cut: Cut,
    num_labels: int,
    gt_prob: float,
    gaussian: tuple[float, float],
    bilateral: tuple[float, float, float],
    iterations: int,
) -> Floats:
    """The same, with positions that begin at the cut's corner."""
    from pydensecrf.densecrf import DIAG_KERNEL, NORMALIZE_SYMMETRIC, DenseCRF2D
    from pydensecrf.utils import unary_from_labels

    height, width = cut.shape
    own = np.ascontiguousarray(cut.of(labels), np.int32)
    model = DenseCRF2D(width, height, num_labels)
    model.setUnaryEnergy(unary_from_labels(own, num_labels, gt_prob, zero_unsure=False))
    kernel = {"kernel": DIAG_KERNEL, "normalization": NORMALIZE_SYMMETRIC}
    model.addPairwiseGaussian(sxy=gaussian[0], compat=gaussian[1], **kernel)
    writable = np.array(cut.of(image), order="C")  # pydensecrf refuses read-only memory, although it never writes to it
    model.addPairwiseBilateral(sxy=bilateral[0], srgb=bilateral[1], rgbim=writable, compat=bilateral[2], **kernel)
    marginals = np.asarray(model.inference(iterations), np.float32).reshape(num_labels, height, width)
    return np.ascontiguousarray(marginals.transpose(1, 2, 0))
