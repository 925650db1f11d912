"""Run-length strings as numbers, and strings that are not valid."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import masks
from pdstore.ragged import Ragged
from pdstore.runlength import check_masks, check_run_lengths, compress, run_lengths


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_runs_are_those_of_the_mask(height: int, width: int, share: float, seed: int) -> None:
    """A string of pycocotools gives the mask's runs, column by column, and the runs give back the same bytes."""
    mask = np.random.default_rng(seed).random((height, width)) < share
    flat = [(bool(value), len(list(group))) for value, group in groupby(mask.T.ravel())]
    expected = ([0] if flat[0][0] else []) + [length for _, length in flat]
    counts = masks.encode(mask[None])[0]
    assert run_lengths(counts).tolist() == expected
    assert compress(expected, height, width) == counts
    check_run_lengths(counts, height, width)


def test_large_runs() -> None:
    """Runs of millions of pixels take several characters."""
    mask = np.zeros((3000, 4000), bool)
    mask[:, 2500:2502] = True
    assert run_lengths(masks.encode(mask[None])[0]).tolist() == [7_500_000, 6000, 4_494_000]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (b"", "no characters"),
        (b"4 4", "character ' ' at 1"),
        (b"4~", "character '~' at 1"),
        (b"4o", "a last number that is cut off"),
        (b"oooooooooo0", "a number of 11 characters"),
        (b"1M5", "a run of -3 pixels"),
        (b"143", "runs of 8 pixels in all, for a mask of 3 x 4 = 12"),
    ],
)
def test_a_string_that_is_not_a_mask_is_refused(counts: bytes, message: str) -> None:
    """The error says what is not valid."""
    with pytest.raises(ValueError, match=message):
        check_run_lengths(counts, 3, 4)


@pytest.mark.parametrize(
    ("runs", "message"), [([3, 4], "runs of 7 pixels in all"), ([20, -8], "a run of -8 pixels"), ([12.5], "12.5")]
)
def test_runs_of_no_mask_are_refused(runs: list[int], message: str) -> None:
    """Runs that are negative, not whole numbers, or do not fill the mask are refused."""
    with pytest.raises(ValueError, match=message):
        compress(runs, 3, 4)


@given(st.lists(st.binary(max_size=12), max_size=4), st.integers(1, 6), st.integers(1, 6))
def test_many_strings_are_checked_as_each_alone(strings: list[bytes], height: int, width: int) -> None:
    """Whatever the bytes, all are accepted together exactly if each is accepted alone; the first bad one is named."""
    sound = [bytes(masks.encode(np.ones((1, height, width), bool))[0])]
    mixed = [*sound, *(bytes(48 + byte % 64 for byte in text) for text in strings)]
    bad = []
    for number, counts in enumerate(mixed):
        try:
            check_run_lengths(counts, height, width)
        except ValueError:
            bad.append(number)
    if bad:
        with pytest.raises(ValueError, match=f"^mask {bad[0]} of {len(mixed)}: "):
            check_masks(Ragged.from_list(mixed), height, width)
    else:
        check_masks(Ragged.from_list(mixed), height, width)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_what_was_encoded_is_accepted(height: int, width: int, count: int, seed: int) -> None:
    """Random masks, empty and full ones among them; none at all is fine too."""
    stack = np.random.default_rng(seed).random((count, height, width)) < np.linspace(0, 1, count)[:, None, None]
    check_masks(masks.encode(stack), height, width)
