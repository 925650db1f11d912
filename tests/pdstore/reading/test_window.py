from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore.reading.window import Window


@given(st.integers(1, 4), st.lists(st.integers(0, 6), max_size=40))
def test_the_blocks_used_last_are_kept(capacity: int, numbers: list[int]) -> None:
    """A block is loaded again only if as many others as fit were used since; there are never more in memory."""
    loaded: list[int] = []

    def load(number: int) -> str:
        assert len(window) < capacity
        loaded.append(number)
        return f"block {number}"

    window = Window(load, capacity)
    expected, kept = [], list[int]()
    for number in numbers:
        if number not in kept:
            expected.append(number)
        kept = [*(k for k in kept if k != number), number][-capacity:]
        assert window[number] == f"block {number}"
        assert len(window) == len(kept)
    assert loaded == expected


def test_a_window_without_room_is_refused() -> None:
    """It holds at least one block."""
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Window(str, 0)
