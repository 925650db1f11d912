from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench import launches
from pdstore import Rows
from schemas.tables import PROPOSALS
from stages.models.answers import proposal_rows
from stages.plan.project import Project
from stages.registry import STAGES


def test_a_clock_computes_beside_whoever_started_it() -> None:
    """What it is given takes its time after what it was given before, and who waits for it waits for all of it."""
    clock, begun = launches.Clock(), time.perf_counter()
    clock.start(4, 0.02)
    clock.start(4, 0.02)
    clock.wait()
    assert time.perf_counter() - begun >= 0.04


def test_the_stage_commits_what_its_network_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the thread behind, from pictures that are decoded; the parts alone take part in none of it."""
    monkeypatch.setattr(launches, "CALLS", 20)
    monkeypatch.setattr(launches, "QUERIES", 5)
    monkeypatch.setitem(STAGES, launches.NODE, None)
    store = launches.make_store(tmp_path, images=3, batch_size=2)
    for work in launches.ways(store, tmp_path, 3, 2).values():
        work()
    found = Project.open(store).layer(launches.NODE).read(0)
    expected = [proposal_rows(number, launches.found(number), launches.KEPT) for number in range(3)]
    assert found.to_arrow() == Rows.concat(PROPOSALS, expected).to_arrow()
