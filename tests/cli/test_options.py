"""The options shared by the verbs that run nodes."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Pd, assert_error


def test_options_that_do_not_go_together(pd: Pd, store: Path) -> None:
    """Each error says what to leave out or add."""
    assert_error(pd("stage", "run", "ingest", "--jobs", "3"), 2, "--launcher slurm")
    assert_error(pd("stage", "run", "ingest", "--launcher", "slurm"), 2, "--jobs N")
    assert_error(pd("run", "--workers", "2", "--gpus", "2"), 2, "--workers or --gpus")
