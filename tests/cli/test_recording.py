"""What is said when a changed pipeline is recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.recording import record_changes
from pdstore import Store
from pdstore.errors import PdError
from stages.plan.editing import edited
from stages.plan.presets import parse_pipeline
from stages.plan.project import Project
from tests.cli.conftest import Pd, assert_error


def test_a_node_that_is_gone_is_named_and_its_layers_stay(
    pd: Pd, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says so; SQL still has the rows among those of all layers."""
    assert pd("run", "ingest").code == 0
    project = Project.open(Store(str(store)))
    record_changes(edited(project, parse_pipeline("nodes: {other: {stage: ingest}}", "text")))
    said = capsys.readouterr().err
    assert "ingest: no longer in the pipeline; its layers are kept" in said and "other: none -> " in said
    assert pd("sql", "SELECT count(*) AS n FROM images_all", "--format", "csv").out.split() == ["n", "6"]


def test_a_former_state_is_listed_and_queried(pd: Pd, store: Path) -> None:
    """``pd config log`` says who changed what, and ``--at`` shows its layers, until gc has deleted them."""
    assert pd("run", "ingest", "detic", "grouping").code == 0
    query = ("sql", "SELECT DISTINCT layer FROM parts", "--format", "csv")
    former = pd(*query).out.split()[1]
    assert pd("config", "set", "grouping.k=3").code == 0 and pd("run", "ingest", "detic", "grouping").code == 0
    states = json.loads(pd("config", "log", "--json").out)
    assert [state["state"] for state in states] == [0, 1] and "@" in states[1]["who"]
    assert any(line.startswith(f"grouping: {former} -> ") for line in states[1]["changes"])
    assert "grouping.k = 3" in states[1]["changes"]
    assert pd(*query).out.split()[1] != former == pd(*query, "--at", 0).out.split()[1]
    assert pd(*query, "--at", "2100-01-01").out == pd(*query).out
    for wrong, words in (("7", "there is no state 7"), ("soon", "the number of a state or a time")):
        assert_error(pd(*query, "--at", wrong), 2, words)
    assert pd("gc", "--layer", former, "--yes").code == 0
    assert_error(pd(*query, "--at", 0), 1, f"layer {former} of grouping, which was deleted since", "pd config log")
    assert json.loads(pd("config", "log", "--json").out)[-1]["changes"] == [f"grouping: deleted {former}"]


def test_a_change_that_came_second_is_told(pd: Pd, store: Path) -> None:
    """A project that was opened before another change records nothing, and says so."""
    late = Project.open(Store(str(store)), ["grouping.k=4"])
    assert pd("config", "set", "grouping.k=3").code == 0
    with pytest.raises(PdError, match="has changed the pipeline in the meantime"):
        late.record(is_consent=True)
    assert Project.open(Store(str(store)))["grouping"].settings.model_dump()["k"] == 3


def test_a_store_of_format_1_becomes_one_of_today_with_its_first_change(pd: Pd, store: Path) -> None:
    """It is read as it is, verify says what is not covered, and a change adds digests to the records that it writes."""
    shutil.rmtree(store / "pipeline")
    for path in store.rglob("*.digest"):
        path.unlink()
    for name in ("pipeline.json", "store.json"):
        values = json.loads((store / name).read_text())
        values.pop("digest")
        (store / name).write_text(json.dumps(values | ({"format": 1} if name == "store.json" else {"number": 0})))
    before = Store(str(store)).current()
    result = pd("verify", "--json")
    names = ["classes.parquet", "pipeline.json", "store.json", "listings/00000.parquet"]
    assert result.code == 0 and json.loads(result.out)["not_covered"] == names
    assert pd("config", "set", "grouping.k=3").code == 0
    opened = Store(str(store))
    assert opened.info.format == 2 and opened.current() != before == opened.snapshot(0).current()
    assert json.loads(pd("verify", "--json").out)["not_covered"] == ["classes.parquet", "listings/00000.parquet"]
