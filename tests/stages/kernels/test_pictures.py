"""Drawing masks on images."""

from __future__ import annotations

import numpy as np

from stages.kernels.pictures import BAR_WIDTH_PX, Cell, Overlay, Row, colour_of, draw_overlay, draw_shares, draw_sheet

GREY = np.full((40, 60, 3), 100, np.uint8)


def _square(left: int) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[10:30, left : left + 20] = True
    return mask


def _near(colour: np.ndarray, number: int) -> bool:
    """Whether a pixel is tinted like a colour: its channels come in the same order."""
    wanted = np.array(colour_of(number))
    return bool((np.argsort(colour) == np.argsort(wanted)).all())


def test_a_mask_is_tinted_with_its_colour_and_nothing_else_is() -> None:
    """Pixels inside a mask take its colour, and pixels outside stay grey."""
    drawn = np.asarray(draw_overlay(GREY, Overlay(_square(5)[None], [1]), 120, 80))
    assert drawn.shape == (80, 120, 3)
    assert _near(drawn[40, 30], 1)
    assert np.ptp(drawn[4, 110].astype(int)) == 0


def test_the_best_mask_is_on_top_where_masks_overlap() -> None:
    """Masks are ordered best first, and the first one covers the others."""
    drawn = np.asarray(draw_overlay(GREY, Overlay(np.stack([_square(5), _square(15)]), [1, 2]), 60, 40))
    assert _near(drawn[20, 20], 1) and _near(drawn[20, 30], 2)


def test_an_outline_is_darker_than_its_area() -> None:
    """The border of a mask is drawn, so that neighbours with similar colours can be distinguished."""
    drawn = np.asarray(draw_overlay(GREY, Overlay(_square(20)[None], [0]), 120, 80)).astype(int)
    border, inside = drawn[40, 40], drawn[40, 60]
    assert border[1] < inside[1] and np.abs(border - inside).sum() > 60


def test_an_image_without_masks_is_faded() -> None:
    """An overlay without masks can be drawn too."""
    drawn = np.asarray(draw_overlay(GREY, Overlay(np.zeros((0, 40, 60), bool), []), 60, 40))
    assert (drawn > 100).all()


def test_colours_differ() -> None:
    """The first hundred numbers have a hundred colours, each the same at every call."""
    assert len({colour_of(n) for n in range(100)}) == 100
    assert colour_of(57) == colour_of(57)


def test_a_sheet_has_one_row_per_image_and_one_column_per_title() -> None:
    """Small images are enlarged to the cell and large ones reduced; even a 1 x 1 image is drawn."""
    images = [GREY, np.zeros((900, 300, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)]
    rows = [
        Row(p, [Cell(caption="a long caption " * 9), Cell(Overlay(np.ones((1, *p.shape[:2]), bool), [3], "x"))])
        for p in images
    ]
    sheet = draw_sheet(["image", "grouping"], rows, 100)
    assert sheet.width > 2 * 100 and sheet.height > 67 + 100 + 100
    assert draw_sheet(["image", "grouping"], rows[:1], 100).height < sheet.height


def test_the_same_call_gives_the_same_picture() -> None:
    """Nothing in a picture is random."""
    rows = [Row(GREY, [Cell(Overlay(_square(5)[None], [1]))])]
    assert draw_sheet(["a"], rows, 80).tobytes() == draw_sheet(["a"], rows, 80).tobytes()


def test_a_bar_is_divided_in_proportion() -> None:
    """Each size has its colour and its share of the length; a size of 0 and a bar without sizes are no fault."""
    drawn = np.asarray(draw_shares([("cat", {0: 3, 1: 0, 2: 1}), ("a very long name of a class", {}), ("dog", {1: 0})]))
    counts = [int((drawn == colour_of(number)).all(2).any(0).sum()) for number in (0, 1, 2)]
    assert counts[1] == 0 and abs(counts[0] - 0.75 * BAR_WIDTH_PX) < 2 and abs(counts[2] - 0.25 * BAR_WIDTH_PX) < 2
    assert draw_shares([]).size[0] == drawn.shape[1]
