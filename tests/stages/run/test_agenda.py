from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pdstore import PdError, Store, layout
from pdstore.files import Files
from pdstore.selection import open_selection
from schemas.pipeline import SourceSpec
from stages.create.store import create_store
from stages.nodes import crf, ranking
from stages.plan.failures import record_failure
from stages.plan.project import Project
from stages.run.agenda import Agenda
from stages.run.ledger import Ledger
from stages.run.options import RunOptions
from stages.unit import Output, Unit
from tests.stages.conftest import CLASSICAL, run_all
from tests.stages.run.commands import run, state


def agenda(store: Store, name: str, **options) -> Agenda:
    return Agenda(Project.open(store), name, RunOptions(**options))


def word(store: Store, name: str) -> str:
    return state(store, name).word


@pytest.fixture
def stale(grouped: Store) -> Store:
    """A store whose ranking was computed from half of the present blocks."""
    run(grouped, "crf")
    run(grouped, "candidates", limit=2)
    run(grouped, "ranking", allow_partial=True)
    run(grouped, "candidates")
    return grouped


def test_what_comes_while_a_barrier_computes_makes_it_stale(grouped: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the blocks that were committed when it began, and its commit says so."""
    real, read = ranking.start, []

    def start(settings, setup) -> Callable[[Unit], Output]:
        process = real(settings, setup)

        def late(unit: Unit) -> Output:
            run(grouped, "candidates")
            read.append(unit.blocks("candidates"))
            return process(unit)

        return late

    run(grouped, "crf")
    run(grouped, "candidates", limit=2)
    monkeypatch.setattr(ranking, "start", start)
    run(grouped, "ranking", allow_partial=True)
    assert read == [[0, 1]] and word(grouped, "candidates") == "done"
    assert word(grouped, "ranking") == "stale"
    run(grouped, "ranking", refresh=True)
    assert word(grouped, "ranking") == "done"


def test_of_two_that_refresh_the_second_leaves_the_work_of_the_first(stale: Store) -> None:
    """Both planned to compute the stale unit again; whoever comes second finds it fresh and withdraws nothing."""
    second = agenda(stale, "ranking", refresh=True)
    assert second.work.ready == [0] and not second.is_done(0)
    assert run(stale, "ranking", refresh=True).committed == [0]
    assert not second.take(0)
    assert word(stale, "ranking") == "done"


def test_planning_a_refresh_withdraws_nothing(stale: Store) -> None:
    """A stale unit stays readable until a worker takes it."""
    planned = agenda(stale, "ranking", refresh=True)
    assert word(stale, "ranking") == "stale"
    assert planned.take(0)
    assert word(stale, "ranking") == "not started"


def test_units_that_others_committed_are_not_claimed(grouped: Store) -> None:
    """A single listing shows all of them."""
    late = agenda(grouped, "crf")
    run(grouped, "crf")
    assert late.work.ready == [0, 1, 2, 3] and all(late.is_done(unit) for unit in late.work.ready)


def test_a_unit_that_another_worker_failed_on_is_not_tried_again(
    grouped: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of one run share its failures; the next run tries again."""
    beside = agenda(grouped, "crf")

    def start(settings, setup) -> Callable[[Unit], Output]:
        def broken(unit: Unit) -> Output:
            raise ZeroDivisionError("a fault in the stage")

        return broken

    with monkeypatch.context() as patch:
        patch.setattr(crf, "start", start)
        with pytest.raises(PdError, match="4 of 4 units failed"):
            run(grouped, "crf", retries=0)
    assert beside.failed_meanwhile(1) == "ZeroDivisionError: a fault in the stage"
    assert agenda(grouped, "crf").failed_meanwhile(1) == ""
    assert len(run(grouped, "crf").committed) == 4


@pytest.mark.parametrize("times", [1, 10**6])
def test_a_read_that_fails_on_the_way_loses_no_image(
    times: int, folder: Path, classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read is tried again; if it keeps failing, the block has failed, and the next run computes it."""
    store, real, left = classical(), Files.read, [times]

    def read(files: Files, path: str) -> bytes:
        if path.endswith(".jpg") and left[0] > 0:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error")
        return real(files, path)

    with monkeypatch.context() as patch:
        patch.setattr(Files, "read", read)
        if times == 1:
            run(store, "ingest")
        else:
            with pytest.raises(PdError, match="Input/output error"):
                run(store, "ingest")
    if times > 1:
        assert word(store, "ingest") == "failed" and run(store, "ingest").rejected == 0
    rows = [len(part) for part in store.layer("ingest", store.current()["ingest"]).scan(["image_id"])]
    assert rows == [3, 3, 3, 3]


def test_a_training_that_is_refreshed_chooses_anew(
    copy_store: Callable[..., Store], run_all: Callable[..., None], finished: Store, contents: Callable
) -> None:
    """A stale training under --refresh starts again from its first step, on all that is committed now."""
    store = copy_store("proposal-train")
    crf = store.layer("crf", store.current()["crf"])
    crf.withdraw(0)
    fingerprint = store.current()["proposal-train"]
    name = f"checkpoints-proposal-train-{fingerprint}"
    run_all(store, ["proposal-train"], allow_partial=True)
    partial = open_selection(store, name).image_ids.tolist()
    assert contents(store, ["proposal-train"]) != contents(finished, ["proposal-train"])
    run_all(store, ["crf"])
    run_all(store, ["proposal-train"], refresh=True)
    assert contents(store, ["proposal-train"]) == contents(finished, ["proposal-train"])
    assert open_selection(store, name).image_ids.tolist() == open_selection(finished, name).image_ids.tolist()
    assert len(partial) > 0 and store.files.exists(layout.selection(name))


class TestObjectStore:
    """There each look is a request, so a worker looks for others only after it has met one."""

    @pytest.fixture
    def remote(self, folder: Path, tmp_path: Path) -> Store:
        store = create_store(f"memory://{tmp_path.name}-{os.getpid()}", SourceSpec(root=str(folder)), CLASSICAL)
        run_all(store, ["ingest", "detic", "grouping"])
        return store

    @pytest.fixture
    def looks(self, remote: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The paths of listings of commits and of failures that were asked for."""
        seen: list[str] = []
        for name in ("read", "listed"):
            method = getattr(Files, name)

            def noted(files: Files, path: str, method: Callable[..., Any] = method) -> Any:
                if path.endswith("/commits") or "failures/" in path:
                    seen.append(path)
                return method(files, path)

            monkeypatch.setattr(Files, name, noted)
        return seen

    def test_who_is_alone_does_not_look(self, remote: Store, looks: list[str]) -> None:
        """Neither for commits nor for failures."""
        planned = agenda(remote, "crf")
        looks.clear()
        assert not any(planned.is_done(unit) or planned.failed_meanwhile(unit) for unit in range(4)) and not looks
        assert planned.take(2) and not looks

    def test_who_meets_another_looks(self, remote: Store, looks: list[str]) -> None:
        """At a unit that is committed already; then all that are committed are seen, and all that failed."""
        planned = agenda(remote, "crf")
        run(remote, "crf", limit=2)
        record_failure(remote.layer("crf", planned.layer.fingerprint), 3, "a fault")
        assert not planned.is_done(0) and planned.failed_meanwhile(3) == ""
        assert not planned.take(0)
        looks.clear()
        assert [planned.is_done(unit) for unit in range(4)] == [True, True, False, False]
        assert planned.failed_meanwhile(3) == "a fault" and len(looks) == 2

    def test_a_unit_that_is_held_is_another(self, remote: Store) -> None:
        """Its holder may have failed at others."""
        project = Project.open(remote)
        book = Ledger(project, "crf", RunOptions())
        other = project.layer("crf").claim(0)
        record_failure(project.layer("crf"), 3, "a fault")
        assert other is not None and book.agenda.failed_meanwhile(3) == ""
        with other, ExitStack() as claims:
            assert not book.claim(0, claims)
        assert book.agenda.failed_meanwhile(3) == "a fault"
