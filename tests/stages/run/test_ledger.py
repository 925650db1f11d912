from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from pdstore import Store
from stages.plan.failures import read_failures, record_failure
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.run.computation import Computation, Computed
from stages.run.ledger import Ledger
from stages.run.options import RunOptions
from stages.unit import Control
from tests.stages.run.commands import leases, run, state


def ledger(store: Store, **options: Any) -> Ledger:
    project = Project.open(store)
    project.store.declare("crf", project["crf"].identity, project["crf"].stage.output, "test")
    return Ledger(project, "crf", RunOptions(**options))


def computed(store: Store, unit: int) -> Computed:
    project = Project.open(store)
    return Computation(project, {"crf": Inputs(project, "crf")}, Control(), 0.5).compute(unit)[0]


def test_a_unit_is_open_until_it_is_committed(ready: Store) -> None:
    """Claim, take, commit: the outcome counts it, the claim ends with the stack, and only chosen units are open."""
    book = ledger(ready, limit=2)
    assert [unit for unit in range(4) if book.is_open(unit)] == [0, 1]
    with ExitStack() as claims:
        assert book.claim(1, claims) and book.take(1)
        assert state(ready, "crf").running == [1]
        book.commit(computed(ready, 1), time.time() - 5)
    assert leases(ready, "crf") == []
    assert not book.is_open(1) and book.is_open(0)
    assert (book.outcome.committed, book.outcome.images) == ([1], 3)
    assert Project.open(ready).layer("crf").manifest(1).seconds >= 5


def test_a_unit_that_another_worker_holds_stays_open(ready: Store) -> None:
    """It is noted as held, and can be claimed later."""
    book, other = ledger(ready), Project.open(ready).layer("crf").claim(0)
    assert other is not None
    with other, ExitStack() as claims:
        assert not book.claim(0, claims)
    assert book.outcome.held == [0] and book.is_open(0)
    with ExitStack() as claims:
        assert book.claim(0, claims)


def test_a_unit_that_another_worker_has_committed_is_closed(ready: Store) -> None:
    """It is neither computed nor counted; who was slower loses the commit without an error."""
    book, late = ledger(ready), computed(ready, 0)
    run(ready, "crf")
    with ExitStack() as claims:
        assert not book.claim(2, claims)
    assert not book.is_open(2)
    book.commit(late, time.time())
    assert not book.is_open(0) and book.outcome.committed == []


def test_failures_are_recorded_and_close_the_unit(ready: Store) -> None:
    """One's own failure is kept in the layer; one of another worker since the start is taken over."""
    book = ledger(ready)
    book.fail(0, "no good")
    assert read_failures(book.layer) == {0: "no good"}
    record_failure(book.layer, 1, "no better")
    with ExitStack() as claims:
        assert book.claim(1, claims) and not book.take(1)
    assert book.outcome.failed == {0: "no good", 1: "no better"}
    assert not book.is_open(0) and not book.is_open(1) and book.is_open(2)
