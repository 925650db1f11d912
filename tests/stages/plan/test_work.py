"""The planner on made-up snapshots, and snapshots of a store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import Store
from stages.plan.committed import Committed
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.plan.shard import Shard
from stages.plan.work import Snapshot, Source, Work, WorkOptions, plan_work
from stages.run.options import RunOptions
from stages.run.runner import run_node

UNITS = st.frozensets(st.integers(0, 7))
OPTIONS = st.builds(WorkOptions, refresh=st.booleans(), allow_partial=st.booleans())


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """A node of 0 to 8 units; a block input has as many, an input that is needed whole has any number."""
    total = draw(st.integers(0, 8))
    sources = []
    for number in range(draw(st.integers(0, 3))):
        is_whole = draw(st.booleans())
        size = draw(st.integers(0, 8)) if is_whole else total
        sources.append(Source(f"input{number}", size, within(draw(UNITS), size), is_whole))
    committed = within(draw(UNITS), total)
    return Snapshot(total, committed, committed & draw(UNITS), tuple(sources))


def within(units: frozenset[int], total: int) -> frozenset[int]:
    return frozenset(unit for unit in units if unit < total)


def missing(work: Work) -> list[int]:
    return sorted(work.ready + work.waiting)


@given(snapshots(), OPTIONS)
def test_the_lists_share_out_the_units(snapshot: Snapshot, options: WorkOptions) -> None:
    """Every unit is done, ready or waiting; a unit is in two lists only if it is stale and computed again."""
    work = plan_work(snapshot, options)
    assert set(work.done) | set(work.ready) | set(work.waiting) == set(range(snapshot.total))
    assert not set(work.ready) & set(work.waiting)
    assert set(work.done) == snapshot.committed and set(work.stale) == snapshot.stale
    assert set(work.done) & set(missing(work)) == (snapshot.stale if options.refresh else set())


@given(snapshots(), OPTIONS)
def test_a_ready_unit_has_its_input(snapshot: Snapshot, options: WorkOptions) -> None:
    """Its block is committed in every block input; what it needs whole is complete, or at least begun if allowed."""
    work = plan_work(snapshot, options)
    for source in snapshot.sources if work.ready else ():
        if not source.is_whole:
            assert set(work.ready) <= source.committed
        elif options.allow_partial:
            assert source.committed or not source.total
        else:
            assert source.missing == []


@given(snapshots(), OPTIONS)
def test_a_waiting_unit_lacks_some_input(snapshot: Snapshot, options: WorkOptions) -> None:
    """No unit waits without a reason: an input keeps all units waiting, or the unit's block is missing in one."""
    work = plan_work(snapshot, options)
    for unit in work.waiting:
        assert work.lacking or any(not s.is_whole and unit not in s.committed for s in snapshot.sources)


@given(snapshots(), OPTIONS, st.integers(1, 9))
def test_a_limit_only_cuts_what_is_ready(snapshot: Snapshot, options: WorkOptions, limit: int) -> None:
    """``ready`` loses its end; nothing else changes."""
    whole, cut = plan_work(snapshot, options), plan_work(snapshot, replace(options, limit=limit))
    assert cut == replace(whole, ready=whole.ready[:limit])


@given(snapshots(), OPTIONS, st.integers(1, 5))
def test_all_shards_together_are_the_whole(snapshot: Snapshot, options: WorkOptions, n: int) -> None:
    """Each unit is in the same list of exactly one shard, by rising number."""
    whole = plan_work(snapshot, options)
    parts = [plan_work(snapshot, replace(options, shard=Shard(k, n))) for k in range(1, n + 1)]
    for name in ("done", "stale", "ready", "waiting"):
        lists = [getattr(part, name) for part in parts]
        assert sorted(unit for units in lists for unit in units) == getattr(whole, name)
        assert all(units == sorted(units) for units in lists)


@given(snapshots(), OPTIONS)
def test_an_input_is_lacking_if_it_keeps_every_unit_waiting(snapshot: Snapshot, options: WorkOptions) -> None:
    """An input is lacking if it alone would make nothing ready, unless it is a block input that others have begun."""
    work = plan_work(snapshot, options)
    for source in snapshot.sources:
        alone = plan_work(replace(snapshot, sources=(source,)), options)
        is_blocking = bool(missing(work)) and not alone.ready
        is_begun = not source.is_whole and bool(source.committed)
        assert (source in work.lacking) == (is_blocking and not is_begun)
    assert not (work.lacking and work.ready)


@given(snapshots(), st.booleans())
def test_part_of_an_input_is_enough_if_that_is_allowed(snapshot: Snapshot, refresh: bool) -> None:
    """``allow_partial`` makes units ready, never the other way round, and needs at least one committed unit."""
    strict, partial = (plan_work(snapshot, WorkOptions(refresh=refresh, allow_partial=p)) for p in (False, True))
    assert set(strict.ready) <= set(partial.ready) and missing(strict) == missing(partial)
    assert all(not source.committed for source in partial.lacking)


def test_a_barrier_waits_for_all_blocks() -> None:
    """One missing block of an input that is needed whole keeps the unit waiting, unless a part is allowed."""
    crf = Source("crf", 4, frozenset({0, 1, 3}), is_whole=True)
    snapshot = Snapshot(1, frozenset(), sources=(crf,))
    assert crf.missing == [2]
    assert plan_work(snapshot) == Work([], [], [], [0], (crf,))
    assert plan_work(snapshot, WorkOptions(allow_partial=True)) == Work([], [], [0], [])


def test_a_stale_unit_waits_for_input_that_has_gone() -> None:
    """It stays done, and is computed again only when its input is back."""
    gone = Source("crf", 2, frozenset({1}), is_whole=False)
    snapshot = Snapshot(2, frozenset({0, 1}), frozenset({0, 1}), (gone,))
    assert plan_work(snapshot).ready == [] == plan_work(snapshot).waiting
    assert plan_work(snapshot, WorkOptions(refresh=True)) == Work([0, 1], [0, 1], [1], [0])


@pytest.fixture
def half(grouped: Store) -> Store:
    """A store whose candidates have two of four blocks, and whose ranking was computed from these."""
    project = Project.open(grouped)
    run_node(project, "crf")
    run_node(project, "candidates", RunOptions(limit=2))
    run_node(project, "ranking", RunOptions(allow_partial=True))
    return grouped


def read(store: Store, node: str, *, with_record: bool = True) -> Snapshot:
    project = Project.open(store)
    recorded = Committed.of(project.layer(node)) if with_record else None
    return Snapshot.read(project, node, Inputs(project, node), recorded)


def test_a_snapshot_is_what_the_store_has_committed(half: Store) -> None:
    """Units of the node and of each input, and which inputs are needed whole."""
    snapshot = read(half, "labels")
    blocks = frozenset(range(4))
    assert (snapshot.total, snapshot.committed, snapshot.stale) == (4, frozenset(), frozenset())
    assert {source.name: source for source in snapshot.sources} == {
        "ingest": Source("ingest", 4, blocks, is_whole=False),
        "detic": Source("detic", 4, blocks, is_whole=False),
        "crf": Source("crf", 4, blocks, is_whole=False),
        "ranking": Source("ranking", 1, frozenset({0}), is_whole=True),
    }


def test_stale_units_are_looked_for_only_with_a_record(half: Store) -> None:
    """The record says what a unit was computed from: without it no unit is stale."""
    run_node(Project.open(half), "candidates")
    assert read(half, "ranking").stale == {0}
    assert read(half, "ranking", with_record=False).stale == frozenset()
