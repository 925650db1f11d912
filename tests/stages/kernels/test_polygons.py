from __future__ import annotations

import cv2
import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from pycocotools import mask as coco

from stages.kernels.polygons import mask_polygons


def drawn(polygons: list[list[int]], height: int, width: int) -> np.ndarray:
    if not polygons:
        return np.zeros((height, width), bool)
    return coco.decode(coco.merge(coco.frPyObjects([[*map(float, p)] for p in polygons], height, width))).astype(bool)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_pycocotools_draws_the_same_mask(mask: np.ndarray) -> None:
    """Pixel for pixel, with holes, holes in islands in holes, and pixels that touch at corners."""
    polygons = mask_polygons(mask)
    assert (drawn(polygons, *mask.shape) == mask).all()
    count, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    assert len(polygons) == count - 1 and all(len(p) >= 8 for p in polygons)


def test_a_box_has_its_four_corners() -> None:
    """Clockwise from the upper left, at the outer edges of its pixels."""
    mask = np.zeros((6, 8), bool)
    mask[1:3, 2:7] = True
    assert mask_polygons(mask) == [[2, 1, 7, 1, 7, 3, 2, 3]]


def test_a_hole_is_cut_in_along_a_seam() -> None:
    """One polygon, whose area by the shoelace formula is that of the ring: the hole is followed the other way round."""
    y, x = np.mgrid[:30, :40]
    mask = (np.hypot(y - 14, x - 20) < 12) & ~(np.hypot(y - 14, x - 16) < 3) & ~(np.hypot(y - 14, x - 25) < 2)
    (polygon,) = mask_polygons(mask)
    xs, ys = np.array(polygon[::2]), np.array(polygon[1::2])
    assert (np.roll(ys, -1) * xs - np.roll(xs, -1) * ys).sum() / 2 == mask.sum()
    assert (drawn([polygon], 30, 40) == mask).all()
