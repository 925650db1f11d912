"""Trainings on several ranks."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from cli.launchers.torchrun import STOPPING, run_ranks
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


def test_ranks_know_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process finds its rank and their count, sees no GPU, and the launcher keeps its signal handlers."""
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    handlers = [signal.getsignal(number) for number in STOPPING]
    program = f"""import os, pathlib
ranks = os.environ["RANK"] + "/" + os.environ["WORLD_SIZE"] + os.environ["CUDA_VISIBLE_DEVICES"]
pathlib.Path({str(tmp_path)!r}, os.environ["RANK"]).write_text(ranks)"""
    assert run_ranks([sys.executable, "-c", program], 2, on_gpus=False) == 0
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["0/2", "1/2"]
    assert [signal.getsignal(number) for number in STOPPING] == handlers
