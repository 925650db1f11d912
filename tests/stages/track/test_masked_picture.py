from __future__ import annotations

import numpy as np

from stages.kernels.pictures import colour_of
from stages.track.masked_picture import OTHER, MaskedPicture, MaskGroup, Names, drawn, label_map, squared


def test_a_name_keeps_its_number() -> None:
    """Numbers are given in the order of appearance, and a list that was kept goes on where it ended."""
    names = Names()
    assert [names.number(name) for name in ("cat", "dog", "cat")] == [1, 2, 1]
    again = Names(names.known())
    assert again.number("bird") == 3 and again.number("dog") == 2
    assert dict(again.labels()) == {1: "cat", 2: "dog", 3: "bird"}


def test_more_names_than_a_byte_holds_share_the_last_number() -> None:
    """Nothing wraps around to the number of another name."""
    names = Names()
    numbers = [names.number(f"n{i}") for i in range(300)]
    assert numbers[:254] == list(range(1, 255)) and set(numbers[254:]) == {255}
    assert names.labels()[255] == OTHER and names.labels()[254] == "n253"


def test_a_label_map_has_the_numbers_of_the_names() -> None:
    """Two masks of one name have one number; where there is no mask it is 0."""
    top = np.array([[-1, 0], [1, 2]], np.int16)
    group = MaskGroup("detic", top, ["cat", "dog", "cat"], [0, 1, 2])
    assert label_map(group, Names()).tolist() == [[0, 1], [2, 1]]
    empty = MaskGroup("detic", np.full((2, 2), -1, np.int16), [], [])
    assert label_map(empty, Names()).tolist() == [[0, 0], [0, 0]]


def test_a_sheet_shows_the_image_and_each_group() -> None:
    """A group is a column, with its masks in their colours; a group without masks is a column, too."""
    top = np.full((40, 40), -1, np.int16)
    top[10:30, 10:30] = 0
    pixels = np.full((40, 40, 3), 100, np.uint8)
    groups = [MaskGroup("crf", top, ["part 1"], [1]), MaskGroup("grouping", np.full_like(top, -1), [], [])]
    one = np.asarray(drawn(MaskedPicture(pixels, groups[1:], "7"))).astype(int)
    two = np.asarray(drawn(MaskedPicture(pixels, groups, "7"))).astype(int)
    assert two.shape[1] > one.shape[1]

    def near(sheet: np.ndarray) -> int:
        return int((np.abs(sheet - colour_of(1)).sum(2) < 160).sum())

    assert near(one) == 0 and near(two) > 1000


def test_a_picture_is_put_into_the_middle_of_a_square() -> None:
    """Wide and tall pictures get equal sides, and keep their pixels."""
    wide = np.arange(1, 7, dtype=np.uint8).reshape(1, 6)
    assert squared(wide, fill=0).shape == (6, 6) and squared(wide, fill=0)[2].tolist() == [1, 2, 3, 4, 5, 6]
    tall = np.zeros((4, 2, 3), np.uint8)
    square = squared(tall)
    assert square.shape == (4, 4, 3) and square[:, 1:3].max() == 0 and square[:, 0].min() > 200
