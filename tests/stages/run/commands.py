"""Short forms for the tests of runs: run a node of a store, ask for its state, list its leases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pdstore import Store, layout
from stages.plan.project import Project
from stages.plan.states import NodeState, node_state
from stages.run.options import RunOptions
from stages.run.outcome import Outcome
from stages.run.progress import Watch
from stages.run.runner import run_node


def run(
    store: Store, name: str, *overrides: str, should_stop: Callable[[], bool] = lambda: False, **options: Any
) -> Outcome:
    return run_node(Project.open(store, overrides), name, RunOptions(**options), Watch(should_stop=should_stop))


def state(store: Store, name: str, *overrides: str) -> NodeState:
    return node_state(Project.open(store, overrides), name)


def leases(store: Store, name: str) -> list[str]:
    return store.files.names(layout.leases(name, store.current()[name]))
