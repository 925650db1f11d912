"""Trainings on several ranks."""

from __future__ import annotations

import sys

import pytest

from cli.launchers.torchrun import run_ranks
from pdstore.errors import PdError


def test_a_rank_that_was_killed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed rank is named in the error; a rank that fails by itself reports why, and its exit code counts."""
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    program = "import os, time; time.sleep(60) if os.environ['RANK'] == '0' else {}"
    kill, leave = (program.format(end) for end in ("os.kill(os.getpid(), 9)", "os._exit(3)"))
    with pytest.raises(PdError, match=r"ranks: .*rank 1 killed by SIGKILL.*fewer ranks") as caught:
        run_ranks([sys.executable, "-c", kill], 2, on_gpus=False)
    assert caught.value.exit_code == 1
    assert run_ranks([sys.executable, "-c", leave], 2, on_gpus=False) == 3
