"""Trainings on several ranks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cli.launchers.torchrun import STOPPING, Machines, run_ranks
from pdstore.errors import PdError, UsageError
from tests.cli.launchers.conftest import ROOT


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


def test_ranks_of_two_machines_train_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two agents that know one address make one group, with the ranks of both."""
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        rendezvous = f"localhost:{free.getsockname()[1]}"
    program = f"""import os, pathlib
pathlib.Path({str(tmp_path)!r}, os.environ["RANK"]).write_text(os.environ["WORLD_SIZE"] + os.environ["LOCAL_RANK"])"""
    code = f"""import sys
from cli.launchers.torchrun import Machines, run_ranks
sys.exit(run_ranks([sys.executable, "-c", {program!r}], 1, on_gpus=False, machines=Machines(2, {rendezvous!r})))"""
    other = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    machines = Machines(2, rendezvous)
    assert run_ranks([sys.executable, "-c", program], 1, on_gpus=False, machines=machines) == 0
    assert other.wait(60) == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "20", "1": "20"}


@pytest.mark.parametrize(
    ("rendezvous", "problem"),
    [
        ("gpu01", "expected HOST:PORT"),
        ("gpu01:0", "expected HOST:PORT"),
        ("gpu01:x", "expected HOST:PORT"),
        ("no.such.host.invalid:29500", "its host cannot be reached from here"),
    ],
)
def test_an_address_where_nobody_meets(rendezvous: str, problem: str) -> None:
    """The error says what an address is, or why the machine cannot be reached."""
    with pytest.raises(UsageError, match=problem) as caught:
        Machines(2, rendezvous).settings()
    assert caught.value.where == "--rendezvous" and "Name one of the machines" in caught.value.fix
