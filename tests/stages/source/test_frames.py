"""Frames of images, and rows whose masks are in frames of different sizes."""

from __future__ import annotations

import numpy as np
import pytest

from pdstore import Rows, masks
from schemas.tables import OBJECTS
from stages.source.frames import FRAME_SIDE, frame_of, frame_side, image_frames, mask_frames, masks_at
from tests.stages.nodes.records import thing


def rows_of(*stacks: tuple[int, np.ndarray]) -> Rows:
    """One object per (image_id, mask)."""
    return Rows.from_records(OBJECTS, [thing(i, mask, object_id=n) for n, (i, mask) in enumerate(stacks)])


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [
        ((480, 640), 640, (480, 640)),
        ((6000, 8000), 640, (480, 640)),
        ((8000, 6000), 640, (640, 480)),
        ((1, 30_000), 640, (1, 640)),
        ((375, 500), 640, (375, 500)),
        ((6000, 8000), 0, (6000, 8000)),
    ],
)
def test_a_frame_keeps_the_aspect_and_never_enlarges(
    size: tuple[int, int], longest: int, expected: tuple[int, int]
) -> None:
    """Its longer side has at most that many pixels, its shorter side at least one; 0 is without a limit."""
    assert frame_of(size, longest) == expected


def test_a_network_that_sees_less_still_has_smooth_borders() -> None:
    """Frames are not smaller than 640 pixels, and as large as what the network sees; 0 stays without a limit."""
    assert [frame_side(side) for side in (256, 640, 1024, 0)] == [FRAME_SIDE, 640, 1024, 0]


def test_rows_say_their_frames() -> None:
    """An image whose masks have several frames has the largest."""
    rows = rows_of((3, np.ones((6, 8), bool)), (3, np.ones((3, 4), bool)), (5, np.ones((2, 2), bool)))
    assert mask_frames(rows).tolist() == [[6, 8], [3, 4], [2, 2]]
    assert image_frames(rows) == {3: (6, 8), 5: (2, 2)}


def test_masks_are_brought_to_one_size() -> None:
    """Each from its own frame; those that have the size already are the stored strings themselves."""
    left = np.zeros((6, 8), bool)
    left[:, :4] = True
    rows = rows_of((0, left), (0, left[::2, ::2]))
    decoded = masks.decode(masks_at(rows, (12, 16)), 12, 16)
    assert decoded[:, :, :8].all() and not decoded[:, :, 8:].any()
    assert list(masks_at(rows.take([0]), (6, 8))) == list(rows.take([0]).ragged("rle"))
