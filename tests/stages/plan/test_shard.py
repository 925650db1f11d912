from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore.errors import UsageError
from stages.plan.shard import Shard


@given(n=st.integers(1, 40), units=st.sets(st.integers(0, 300)))
def test_every_unit_is_in_exactly_one_shard(n: int, units: set[int]) -> None:
    """The n shards divide all units among them, whatever n is, and each keeps their order."""
    shares = [Shard(k, n).units(sorted(units)) for k in range(1, n + 1)]
    assert sorted(unit for share in shares for unit in share) == sorted(units)
    assert all(share == sorted(share) for share in shares)


def test_shards_are_counted_from_one() -> None:
    """Shard 1/n has unit 0, shard n/n has unit n - 1."""
    assert Shard.parse("1/3").units(list(range(7))) == [0, 3, 6]
    assert Shard.parse("3/3").units(list(range(7))) == [2, 5]


@pytest.mark.parametrize("text", ["0/10", "11/10", "1/0", "0/0"])
def test_a_number_that_is_no_shard_is_refused(text: str) -> None:
    """k outside 1..n is an error that says how shards are counted."""
    with pytest.raises(UsageError, match=f"expected k/n with k from 1 to n, found {text}. Shards are counted from 1"):
        Shard.parse(text)


@pytest.mark.parametrize("text", ["3-10", "3", "", "/", "3/", "/10", "a/b", "-1/10", "1/2/3", " 1/2", "1.0/2"])
def test_a_text_that_is_no_shard_is_refused(text: str) -> None:
    """Anything but k/n is an error that shows the form."""
    with pytest.raises(UsageError, match="expected k/n, such as 3/10, found"):
        Shard.parse(text)
