from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.tables import ERRORS, TABLES
from stages.registry import STAGES
from stages.stage import MODEL, Stage

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=STAGES.values(), ids=list(STAGES))
def stage(request: pytest.FixtureRequest) -> Stage:
    return request.param


def test_every_stage_has_a_module_with_a_start(stage: Stage) -> None:
    """The module is named after the stage, as the command line and the settings name it."""
    assert importlib.util.find_spec(stage.entry) is not None
    assert callable(stage.load())
    # The stages that read the original's pseudo-labels have a folder of their own.
    name = stage.name.replace("original-", "original.").replace("-", "_")
    expected = {"eval": "evaluate"}.get(stage.name, name)
    assert stage.entry == f"stages.nodes.{expected}"


def test_a_stage_with_late_settings_can_compute_several_nodes_together(stage: Stage) -> None:
    """The late settings are settings of the stage, which leaves some that are not; the module has the function."""
    assert stage.late_settings < set(stage.settings.model_fields)
    assert not stage.late_settings or (callable(stage.load_together()) and stage.unit == "block")


def test_no_module_of_nodes_is_left_out() -> None:
    """Each module in stages/nodes is the entry of one stage."""
    files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "stages/nodes").rglob("*.py")]
    modules = {".".join(path.parts) for path in files if path.name != "__init__"}
    assert sorted(stage.entry for stage in STAGES.values()) == sorted(modules)


def test_inputs_can_be_written_by_some_stage(stage: Stage) -> None:
    """Each table that a role accepts is the output of a stage; a network comes from one that writes it."""
    written = {MODEL if s.writes_model else s.output.name for s in STAGES.values()}
    assert {table for role in stage.inputs.values() for table in role.tables} <= written


def test_declarations_fit_together(stage: Stage) -> None:
    """A training writes a network as its only unit and uses one; truth needs none; the output is a declared table."""
    assert stage.output in TABLES.values() and stage.output != ERRORS
    assert not stage.is_training or (stage.writes_model and stage.uses_network)
    assert not stage.writes_model or stage.unit == "whole"
    assert not (stage.is_truth and stage.uses_network)
    assert stage.is_barrier == (stage.unit != "block")
    assert stage.version >= 1 and stage.doc and stage.doc[0].islower() and not stage.doc.endswith(".")


def test_stages_without_a_network_load_no_torch() -> None:
    """Their modules are imported without it, so that they start quickly and run where it is not installed."""
    modules = [stage.entry for stage in STAGES.values() if not stage.uses_network and stage.name != "weights"]
    program = f"import sys\nfor name in {modules}: __import__(name)\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
