"""The command that starts one worker, and the GPUs that workers are given."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Pd


def test_too_few_gpus(pd: Pd, store: Path) -> None:
    """The error says how many GPUs were requested and what to do."""
    result = pd("stage", "run", "ingest", "--gpus", "99")
    assert result.code == 2 and "expected 99 GPUs" in result.err
