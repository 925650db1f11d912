from __future__ import annotations

import numpy as np
import pytest

from pdstore import Ragged, masks
from pdstore.errors import CorruptData
from stages.kernels.warping.views import View
from stages.train.stored_masks import StoredMasks

FRAMES = np.array([[30, 40], [30, 40], [15, 20], [60, 80], [30, 40], [1, 1], [15, 20]])
SIZE = (30, 40)


def stored(rng: np.random.Generator) -> StoredMasks:
    """Masks of several frames, on a picture of 30 x 40."""
    strings = [masks.encode(rng.random((1, height, width)) < 0.5)[0] for height, width in FRAMES.tolist()]
    return StoredMasks(Ragged.from_list(strings), FRAMES, SIZE)


def view_of(turn: float, mirror: bool) -> View:
    linear = 0.7 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if mirror:
        linear[0] *= -1
    return View(slice(2, 29), slice(5, 38), np.column_stack([linear, [33.0 if mirror else 0.0, -1.0]]), 50)


@pytest.mark.parametrize("turn", [0.0, 0.4])
@pytest.mark.parametrize("mirror", [False, True])
def test_masks_of_any_frame_are_seen_as_if_decoded_in_the_picture(turn: float, mirror: bool) -> None:
    """A mask of another frame is that of the picture's frame, which is then looked up at the middle of each pixel."""
    view, some = view_of(turn, mirror), stored(np.random.default_rng(0))
    decoded = some.decode()
    assert decoded.shape == (7, 30, 40)
    y, x = np.mgrid[:50, :50] + 0.5
    column, row = np.floor(
        (view.to_window[:, :2] @ np.stack([x.ravel(), y.ravel()])).reshape(2, 50, 50) + view.to_window[:, 2, None, None]
    ).astype(int)
    inside = (row >= 0) & (row < 27) & (column >= 0) & (column < 33)
    expected = decoded[:, row.clip(0, 26) + 2, column.clip(0, 32) + 5] & inside
    found = some.seen(view, np.arange(7))
    # Where the map is turned, fixed point may decide otherwise at a border between two pixels.
    assert found.dtype == bool and (found != expected).mean() < (0.002 if turn else 1e-9)
    assert some.areas(view).tolist() == found.sum((1, 2)).tolist()
    for index in ([], [3], [6, 0, 2]):
        assert np.array_equal(some.seen(view, np.array(index, int)), found[index])


def test_encoded_masks_come_back() -> None:
    """Masks in the picture's own frame; none are none."""
    stack = np.random.default_rng(0).random((3, 5, 7)) < 0.5
    assert np.array_equal(StoredMasks.encode(stack).decode(), stack)
    none = StoredMasks.encode(stack[:0])
    assert len(none) == 0 and none.decode().shape == (0, 5, 7)
    assert none.seen(view_of(0.0, False), np.zeros(0, int)).shape == (0, 50, 50)
    assert none.areas(view_of(0.3, False)).shape == (0,)


@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_a_damaged_string_is_corrupt_data(turn: float) -> None:
    """It is never painted."""
    bad = StoredMasks(Ragged.from_list([b"05"]), np.array([SIZE]), SIZE)
    with pytest.raises(CorruptData, match="a stored mask is damaged"):
        bad.areas(view_of(turn, False))
