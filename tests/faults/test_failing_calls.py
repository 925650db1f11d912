from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.trial import trials


def test_a_call_that_fails_is_named_and_does_no_harm(tmp_path: Path) -> None:
    """Whatever the file system refuses to a command: one error of ours, and then the same command completes all."""
    tried = list(trials(tmp_path, 220, 3))
    assert [str(trial) for trial in tried if trial.problems] == []
    assert len(tried) > 4 and {bool(trial.ended.code) for trial in tried} == {True, False}


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_call_that_fails_does_harm(tmp_path: Path) -> None:
    """The same for every call."""
    tried = list(trials(tmp_path, 1, 0))
    assert [str(trial) for trial in tried if trial.problems] == []
    assert len(tried) > 1000
