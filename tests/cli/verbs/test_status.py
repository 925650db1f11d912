"""``pd status``: the state of every node."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pdstore import Store, layout
from pdstore.lease import SEEN
from pdstore.leases.owner import Owner
from pdstore.leases.record import LeaseRecord
from stages.plan.project import Project
from tests.cli.conftest import Pd

COLUMNS = "node state done units running failed stale error rows seconds layer also"


def test_a_pipe_gets_one_row_per_node(pd: Pd, store: Path) -> None:
    """All columns are there whatever the state, and the nodes stand in the pipeline's order."""
    assert pd("run", "ingest").code == 0
    header, _, *rows = pd("status").out.splitlines()
    assert header.split() == COLUMNS.split()
    assert [row.split()[0] for row in rows] == ["ingest", "detic", "grouping", "crf", "candidates", "ranking"]
    assert rows[0].split()[1:4] == ["done", "3", "3"] and "not started" in rows[1]


def test_a_failed_unit_is_listed_with_its_last_error(pd: Pd, store: Path, photos: Path) -> None:
    """The node is failed, and a second table has the unit and the error."""
    assert pd("run", "ingest").code == 0
    for path in photos.rglob("*.*"):
        path.unlink()
    assert pd("stage", "run", "detic", "--limit", "1").code == 1
    (row,) = [line for line in pd("status").out.splitlines() if line.startswith("detic") and str(photos) in line]
    assert row.split()[:2] == ["detic", "0"] and "2 of 2" in row
    state = json.loads(pd("status", "--json").out)["nodes"]["detic"]
    assert state["state"] == "failed" and list(state["failed"]) == ["0"]


def test_a_unit_that_a_worker_holds_is_running(pd: Pd, store: Path) -> None:
    """A lease makes its node running until it is released."""
    claim = Project.open(Store(str(store))).layer("ingest").claim(1)
    assert claim is not None
    with claim:
        state = json.loads(pd("status", "--json").out)["nodes"]["ingest"]
        assert (state["state"], state["running"], state["done"]) == ("running", [1], [])
    assert json.loads(pd("status", "--json").out)["nodes"]["ingest"]["state"] == "not started"


def test_it_is_shown_who_holds_what(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And for how long this machine has seen no sign of life, which another command may have begun to count."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert pd("stage", "run", "ingest", "--limit", "1").code == 0
    layer = Project.open(Store(str(store))).layer("detic")
    path = layout.lease("detic", layer.fingerprint, 2, 0)
    (store / path).parent.mkdir(parents=True)
    (store / path).write_bytes(LeaseRecord("beef", Owner("node7", 41, "another boot", "1"), 120.0).to_json(path))
    (store / layout.lease("detic", layer.fingerprint, 1, 0)).write_bytes(b"half of a le")
    began = time.monotonic()
    for after, shown, state in ((0, "0 s", "running"), (35, "35 s", "running"), (120, "120 s, gone", "not started")):
        # As a process that has seen nothing yet, so many seconds later.
        SEEN.keep("", set())
        monkeypatch.setattr(SEEN, "clock", lambda now=began + after: now)
        lines = pd("status").out.splitlines()
        (row,) = [line for line in lines if "node7" in line]
        assert row.split("  ")[0] == "detic" and "node7 process 41" in row and row.endswith(shown)
        found = json.loads(pd("status", "--json").out)["nodes"]["detic"]
        assert found["state"] == state and found["holders"]["2"]["unchanged_s"] == after
        assert found["holders"]["1"]["host"] == "" and any("damaged lease" in line for line in lines)


def test_an_older_layer_is_counted(pd: Pd, store: Path) -> None:
    """The last column says how many layers under other settings there are; JSON has their units."""
    assert pd("run", "--until", "grouping").code == 0
    old = json.loads(pd("status", "--json").out)["nodes"]["grouping"]["layer"]
    assert pd("run", "grouping", "grouping.k=3", "--new-layer").code == 0
    (row,) = [line for line in pd("status").out.splitlines() if line.startswith("grouping ")]
    assert row.endswith("1 older layer")
    assert json.loads(pd("status", "--json").out)["nodes"]["grouping"]["other"] == {old: 3}
