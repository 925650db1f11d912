"""The most salient object of a photograph, found without learned weights.

Source: Zhu, Liang, Wei, Sun, "Saliency Optimization from Robust Background Detection", CVPR 2014. Superpixels that
reach the picture's border at low cost are background, contrast with them marks the foreground, and a least-squares
problem over the superpixel graph settles the rest. A dense CRF then draws the border of the mask.

Added here: in the middle of the picture contrast counts up to twice as much, and background half as much.

Bias: it finds one object whose colour differs from that of the picture's border. It misses objects that fill the
picture, and objects with the colours of their surroundings.

N superpixels, (H, W) image pixels, (h, w) working pixels (long side 320).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.kernels.crf import dense_crf
from stages.kernels.resize import resize_bilinear

__all__ = ["SalientObject", "saliency_map", "salient_object"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int64]

WORKING_SIDE = 320
NUM_SUPERPIXELS = 300
COLOUR_SIGMA = 7.0
"""CIELAB distance at which two superpixels stop belonging to the same region."""
SPATIAL_SIGMA = 0.4
"""Distance, in long sides, over which contrast has an effect."""
SMOOTHNESS_FLOOR = 0.1
BACKGROUND_WEIGHT = 5.0
THRESHOLD_RATIO = 0.7
"""Factor on Otsu's threshold: the mode of the background lies at 0, so Otsu alone cuts off the fainter parts of an
object."""
CENTRE_SIGMA = 0.35
"""In long sides, of the Gaussian that weights contrast: photographers put their subject in the middle."""
FLAT_CONTRAST = 2.0
"""CIELAB contrast below which nothing stands out."""


@dataclass(frozen=True, eq=False)
class SalientObject:
    """The most salient object.

    Attributes:
        mask: (H, W) bool, image pixels; all False if nothing stands out.
        score: 0..1.
    """

    mask: Bools
    score: float


def salient_object(image: Bytes) -> SalientObject:
    """Find the object in a photograph.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        The most salient connected region with its holes filled; the score is how much more salient it is than the rest.

    Cost: about 0.2 s on one core whatever the size, because the work is done at a long side of 320 pixels.
    """
    small = _working_copy(image)
    salience = saliency_map(small)
    mask = _outline(small, salience)
    if not mask.any() or mask.all():
        return SalientObject(np.zeros(image.shape[:2], bool), 0.0)
    score = float(salience[mask].mean() - salience[~mask].mean())
    return SalientObject(resize_bilinear(mask, *image.shape[:2]) > 0.5, max(0.0, score))


def _working_copy(image: Bytes) -> Bytes:
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX)
    return np.asarray(picture, np.uint8)


def _outline(image: Bytes, salience: npt.NDArray[np.float32]) -> Bools:
    """(h, w) bool: pixels above the threshold, refined along the picture's edges; the heaviest region, holes filled."""
    from scipy.ndimage import binary_fill_holes, label

    if not salience.any():
        return np.zeros(salience.shape, bool)
    labels = (salience > THRESHOLD_RATIO * _otsu(salience)).astype(np.int64)
    unit = max(salience.shape) / WORKING_SIDE
    refined = dense_crf(
        image,
        labels,
        2,
        gaussian_sxy=max(0.5, 2 * unit),
        bilateral_sxy=max(1.0, 30 * unit),
        bilateral_srgb=8,
        margin=None,
        engine="pydensecrf",
        bilateral_compat=6,
        iterations=5,
    )
    regions, count = label(refined)
    if count == 0:
        return np.zeros(salience.shape, bool)
    weight = np.bincount(regions.ravel(), salience.ravel(), count + 1)[1:]
    return np.asarray(binary_fill_holes(regions == 1 + weight.argmax()), bool)


def saliency_map(image: Bytes) -> npt.NDArray[np.float32]:
    """(H, W) float32 in 0..1: the saliency of each pixel's superpixel; 0 everywhere if the image is flat."""
    superpixels, lab = _superpixels(image)
    values = _saliency(superpixels, lab)
    return values[superpixels].astype(np.float32)


def _superpixels(image: Bytes) -> tuple[Ids, Floats]:
    """(h, w) superpixel ids 0..N−1 and (h, w, 3) CIELAB."""
    from skimage.color import rgb2lab
    from skimage.segmentation import slic

    lab = rgb2lab(image)
    ids = slic(image, NUM_SUPERPIXELS, compactness=10, start_label=0)
    _, dense = np.unique(ids, return_inverse=True)
    return dense.reshape(ids.shape).astype(np.int64), lab


def _saliency(ids: Ids, lab: Floats) -> Floats:
    """(N,) saliency in 0..1."""
    count = int(ids.max()) + 1
    if count == 1:
        return np.zeros(1)
    size = np.bincount(ids.ravel(), minlength=count)
    colour = np.stack([np.bincount(ids.ravel(), lab[..., c].ravel(), count) / size for c in range(3)], 1)
    y, x = np.indices(ids.shape) / max(ids.shape)
    place = np.stack([np.bincount(ids.ravel(), a.ravel(), count) / size for a in (y, x)], 1)
    border = np.unique(np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]]))
    distance = _pairwise(colour)
    touching = _touching(ids, count)
    touching[np.ix_(border, border)] = True
    np.fill_diagonal(touching, False)
    background = _background(distance, touching, border)
    near = np.exp(-np.square(_pairwise(place)) / (2 * SPATIAL_SIGMA**2))
    contrast = (distance * near * background[None, :] * size[None, :]).sum(1) / (near * size[None, :]).sum(1)
    if contrast.max() < FLAT_CONTRAST:
        return np.zeros(count)
    middle = np.array(ids.shape) / (2 * max(ids.shape))
    central = np.exp(-np.square(place - middle).sum(1) / (2 * CENTRE_SIGMA**2))
    foreground = contrast * (1 + central)
    # A percentile instead of the maximum, so that a few glaring superpixels do not dim all the others.
    foreground = np.minimum(foreground / np.percentile(foreground, 97), 1)
    return _optimised(distance, touching, background * (1 - central / 2), foreground)


def _background(distance: Floats, touching: Bools, border: Ids) -> Floats:
    """(N,) probability of background, from the share of a region's outline that lies on the picture's border (§3)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    steps = np.where(touching, distance, np.inf)
    ignored = np.median(steps.min(1))
    cost = np.where(touching, np.maximum(distance - ignored, 1e-6), 0)
    same = np.exp(-np.square(dijkstra(csr_array(cost), directed=False)) / (2 * COLOUR_SIGMA**2))
    connectivity = same[:, border].sum(1) / np.sqrt(same.sum(1))
    return np.asarray(1 - np.exp(-np.square(connectivity) / 2))


def _optimised(distance: Floats, touching: Bools, background: Floats, foreground: Floats) -> Floats:
    """(N,) the saliency that agrees with both weights and changes little between similar neighbours (§4)."""
    foreground = np.where(foreground < _otsu(foreground), 0, foreground)
    two_steps = touching | ((touching.astype(np.float32) @ touching.astype(np.float32)) > 0)
    smooth = np.where(two_steps, np.exp(-np.square(distance) / (2 * COLOUR_SIGMA**2)) + SMOOTHNESS_FLOOR, 0)
    np.fill_diagonal(smooth, 0)
    system = np.diag(smooth.sum(1) + BACKGROUND_WEIGHT * background + foreground) - smooth
    value = np.linalg.solve(system + 1e-9 * np.eye(len(system)), foreground)
    return np.asarray((value - value.min()) / max(float(np.ptp(value)), 1e-9))


def _touching(ids: Ids, count: int) -> Bools:
    touching = np.zeros((count, count), bool)
    touching[ids[1:], ids[:-1]] = touching[ids[:, 1:], ids[:, :-1]] = True
    return touching | touching.T


def _pairwise(points: Floats) -> Floats:
    return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=2))


def _otsu(values: npt.NDArray[np.floating]) -> float:
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(values))  # type: ignore[no-untyped-call]
