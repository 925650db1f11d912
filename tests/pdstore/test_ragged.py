from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore.ragged import Ragged

STRINGS = st.lists(st.binary(max_size=8), max_size=8)


@given(STRINGS)
def test_strings_come_back(strings: list[bytes]) -> None:
    """Iteration, positive and negative indices give the strings; empty ones too."""
    ragged = Ragged.from_list(strings)
    assert list(ragged) == strings
    assert [ragged[i - len(strings)] for i in range(len(strings))] == strings
    assert ragged.data.dtype == np.uint8
    assert ragged.offsets.dtype == np.uint64


@given(STRINGS, st.data())
def test_take_picks_by_number_and_by_flag(strings: list[bytes], data: st.DataObject) -> None:
    """The result is that of picking from the list, in the same order and with repeats."""
    ragged = Ragged.from_list(strings)
    flags = data.draw(st.lists(st.booleans(), min_size=len(strings), max_size=len(strings)))
    assert list(ragged.take(np.array(flags, bool))) == [s for s, f in zip(strings, flags, strict=True) if f]
    if strings:
        index = data.draw(st.lists(st.integers(0, len(strings) - 1)))
        assert list(ragged.take(np.array(index, int))) == [strings[i] for i in index]


@given(STRINGS, st.integers(-9, 9) | st.none(), st.integers(-9, 9) | st.none(), st.sampled_from([None, 1, 2, -1]))
def test_take_picks_slices(strings: list[bytes], start: int | None, stop: int | None, step: int | None) -> None:
    """As a list has them; those of neighbours are views, from which one can take again."""
    whole, index = Ragged.from_list([b"-", *strings, b"+"]), slice(start, stop, step)
    part = whole.take(index)
    assert list(part) == [b"-", *strings, b"+"][index]
    assert part == Ragged.from_list(part)
    assert list(part.take(slice(1, None))) == list(part)[1:]
    assert list(part.take(np.arange(len(part))[::-1])) == list(part)[::-1]
    if step in (None, 1) and len(part.data):
        assert np.shares_memory(part.data, whole.data)


@given(STRINGS, st.data())
def test_strings_are_those_of_neighbours(strings: list[bytes], data: st.DataObject) -> None:
    """From a first to before a last one, as bytes."""
    start = data.draw(st.integers(0, len(strings)))
    stop = data.draw(st.integers(start, len(strings)))
    assert Ragged.from_list(strings).strings(start, stop) == strings[start:stop]


@pytest.mark.parametrize("count", [63, 64, 65, 300])
def test_many_strings_are_those_that_few_are(count: int) -> None:
    """However many there are, of whole data or of a part, which need not lie together in memory."""
    rng = np.random.default_rng(count)
    strings = [rng.bytes(int(n)) for n in rng.integers(0, 9, count)]
    ragged = Ragged.from_list([b"first", *strings, b"last"])
    assert list(ragged)[1:-1] == strings
    assert ragged.strings(1, count + 1) == list(ragged.take(slice(1, -1))) == strings
    apart = Ragged(np.repeat(ragged.data, 2)[::2], ragged.offsets)
    assert list(apart) == list(ragged)


@given(st.lists(STRINGS, max_size=4))
def test_concat_joins_in_order(lists: list[list[bytes]]) -> None:
    """The strings of all inputs come first to last."""
    joined = Ragged.concat([Ragged.from_list(strings) for strings in lists])
    assert list(joined) == [string for strings in lists for string in strings]


def test_equality_is_that_of_the_strings() -> None:
    """The same bytes cut at other places are not equal, and neither is another type."""
    assert Ragged.from_list([b"ab", b"c"]) == Ragged.from_list([b"ab", b"c"])
    assert Ragged.from_list([b"ab", b"c"]) != Ragged.from_list([b"a", b"bc"])
    assert Ragged.from_list([b"ab"]) != [b"ab"]


@pytest.mark.parametrize("index", [2, -3])
def test_an_index_outside_is_an_error(index: int) -> None:
    """As with a list, it is an IndexError."""
    with pytest.raises(IndexError, match="2 strings"):
        Ragged.from_list([b"a", b"b"])[index]


@pytest.mark.parametrize("offsets", [[], [1, 3], [0, 2], [[0, 3]], [0, 2, 1, 3]])
def test_offsets_that_do_not_describe_the_data_are_refused(offsets: list[int]) -> None:
    """They must run from 0 to the number of bytes and never decrease."""
    with pytest.raises(ValueError, match="offsets must"):
        Ragged(np.zeros(3, np.uint8), np.array(offsets, np.uint64))
