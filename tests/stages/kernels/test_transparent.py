"""Masks as transparent pictures."""

from __future__ import annotations

import numpy as np

from stages.kernels.pictures import colour_of
from stages.kernels.transparent import owners, paint_areas, paint_outlines


def _square(left: int) -> np.ndarray:
    mask = np.zeros((20, 40), bool)
    mask[5:15, left : left + 10] = True
    return mask


def test_the_first_mask_is_on_top() -> None:
    """Where masks overlap, the pixel belongs to the first; elsewhere to the one that has it, or to none."""
    owner = owners(iter([_square(10), _square(15)]), 20, 40)
    assert owner.dtype == np.int32 and owner.shape == (20, 40)
    assert (owner[5:15, 10:20] == 0).all() and (owner[5:15, 20:25] == 1).all()
    assert (owner >= 0).sum() == 150 and (owners([], 20, 40) == -1).all()


def test_areas_have_their_colours() -> None:
    """Every pixel of a mask is opaque and in the colour of its number; everything else is transparent."""
    painted = paint_areas(owners([_square(0), _square(20)], 20, 40), [3, 7])
    assert painted.shape == (20, 40, 4) and painted.dtype == np.uint8
    assert (painted[5:15, 0:10] == (*colour_of(3), 255)).all() and (painted[5:15, 20:30] == (*colour_of(7), 255)).all()
    assert not painted[..., 3][:5].any() and (painted[..., 3] > 0).sum() == 200


def test_outlines_are_as_wide_as_they_are_asked_to_be() -> None:
    """The inner pixels of a mask are transparent, and so is everything outside; the edge of the image is no border."""
    painted = paint_outlines(owners([_square(0), _square(20)], 20, 40), [3, 7], 2)
    alpha = painted[..., 3] > 0
    assert alpha[5:15, 20:22].all() and alpha[5:7, 20:30].all() and not alpha[7:13, 22:28].any()
    assert not alpha[7:13, 0:8].any() and alpha[7:13, 8:10].all()
    assert not alpha[:5].any() and (painted[5, 20] == (*colour_of(7), 255)).all()
