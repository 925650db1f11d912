from __future__ import annotations

from itertools import chain, islice

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import Position, SampleOrder
from pdstore.stream import generator

START = Position()


@st.composite
def orders(draw: st.DrawFn) -> SampleOrder:
    """Orders of selections whose blocks are uneven and come in any order, some far apart."""
    blocks = draw(st.lists(st.integers(0, 12), min_size=1, max_size=60))
    return SampleOrder(
        np.array(blocks, np.int64),
        batch_size=draw(st.integers(1, 9)),
        seed=draw(st.integers(0, 2**63)),
        window=draw(st.integers(1, 14)),
    )


def taken(order: SampleOrder, count: int, start: Position = START, **rank: int) -> list[list[int]]:
    return [rows.tolist() for _, rows in islice(order.batches(start, **rank), count)]


@given(orders(), st.integers(0, 4))
def test_every_row_comes_once_an_epoch(order: SampleOrder, epoch: int) -> None:
    """Without the filling of its last batch an epoch is a permutation of the rows; the filling is its first rows."""
    flat, rows = order.epoch(epoch).ravel(), len(order.block_of_row)
    assert sorted(flat[:rows]) == list(range(rows))
    np.testing.assert_array_equal(flat[rows:], np.resize(flat[:rows], len(flat) - rows))


@given(orders(), st.integers(0, 4))
def test_only_blocks_of_a_window_are_mixed(order: SampleOrder, epoch: int) -> None:
    """At most ``window`` blocks are in use at any time: one window is used up before the next begins."""
    blocks = order.block_of_row[order.epoch(epoch).ravel()[: len(order.block_of_row)]]
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for place, block in enumerate(blocks.tolist()):
        first.setdefault(block, place)
        last[block] = place
    by_start = sorted(first, key=lambda block: first[block])
    for cut in range(order.window, len(by_start), order.window):
        assert max(last[b] for b in by_start[:cut]) < min(first[b] for b in by_start[cut:])


@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 99), st.sampled_from([1, 2, 3, 4, 6]))
def test_the_number_of_ranks_changes_no_batch(rows: int, share: int, seed: int, ranks: int) -> None:
    """The ranks' shares put together are the batch that a single rank would see."""
    order = SampleOrder(np.arange(rows) // 7, batch_size=share * ranks, seed=seed, window=2)
    count = 2 * order.batches_per_epoch + 1
    alone = taken(order, count)
    shares = [taken(order, count, rank=r, ranks=ranks) for r in range(ranks)]
    assert [list(chain(*pieces)) for pieces in zip(*shares, strict=True)] == alone


@given(orders(), st.integers(0, 30))
def test_a_resumed_stream_goes_on_with_the_same_batch(order: SampleOrder, step: int) -> None:
    """From any step, or from a position that came with a batch, the batches are those of an unbroken stream."""
    whole = list(islice(order.batches(), step + 4))
    expected = [rows.tolist() for _, rows in whole[step:]]
    assert taken(order, 4, order.at_step(step)) == expected
    assert taken(order, 4, whole[step][0]) == expected


@given(orders())
def test_the_end_of_an_epoch_is_the_start_of_the_next(order: SampleOrder) -> None:
    """A position after the last batch of an epoch, as in a checkpoint there, loses and repeats nothing."""
    end = Position(2, order.batches_per_epoch)
    assert taken(order, 3, end) == taken(order, 3, Position(3, 0))


def test_epochs_and_seeds_differ() -> None:
    """Another epoch or seed gives another order."""
    order = SampleOrder(np.arange(100) // 10, 10)
    other = SampleOrder(np.arange(100) // 10, 10, seed=1)
    assert not np.array_equal(order.epoch(0), order.epoch(1))
    assert not np.array_equal(order.epoch(0), other.epoch(0))


def test_the_order_never_changes() -> None:
    """These exact rows keep a training that an earlier version began on the same batches."""
    order = SampleOrder(np.arange(12) // 3, batch_size=5, seed=7, window=2)
    assert order.epoch(0).tolist() == [[9, 10, 1, 2, 11], [0, 3, 7, 8, 5], [6, 4, 9, 10, 1]]
    assert generator("a", 1).integers(0, 1000, 3).tolist() == [824, 37, 393]


@pytest.mark.parametrize(("rows", "batch", "window"), [(0, 1, 1), (3, 0, 1), (3, 1, 0)])
def test_an_impossible_order_is_refused(rows: int, batch: int, window: int) -> None:
    """There must be at least one row, and a batch and a window of at least 1."""
    with pytest.raises(ValueError, match="at least"):
        SampleOrder(np.zeros(rows, np.int64), batch, window=window)


@pytest.mark.parametrize(("rank", "ranks"), [(0, 4), (3, 3), (-1, 3)])
def test_ranks_that_do_not_divide_the_batch_are_refused(rank: int, ranks: int) -> None:
    """Uneven shares would make the batches depend on the number of ranks."""
    with pytest.raises(ValueError, match="split evenly"):
        next(SampleOrder(np.zeros(9, np.int64), 6).batches(rank=rank, ranks=ranks))


def test_rows_of_one_block_spread_over_an_epoch() -> None:
    """With a window over all blocks, the rows of one block are spread evenly and not in a run."""
    blocks: npt.NDArray[np.int64] = np.arange(1000) // 100
    places = np.flatnonzero(blocks[SampleOrder(blocks, 10, window=10).epoch(0).ravel()] == 3)
    assert places.min() < 100
    assert places.max() > 900
