"""What is said when a changed pipeline is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.recording import record_changes
from pdstore import Store
from stages.plan.editing import edited
from stages.plan.presets import parse_pipeline
from stages.plan.project import Project
from tests.cli.conftest import Pd


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
