"""Jobs of a real Slurm in ``pd status``, and their end by ``pd stage cancel``."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Pd, committed
from tests.cli.launchers.slurm.conftest import done, logs, wait_for


def _states(pd: Pd) -> dict[str, int]:
    jobs = json.loads(pd("status", "--json").out).get("jobs", [])
    found: dict[str, int] = jobs[-1]["tasks"] if jobs else {}
    return found


def test_an_array_of_three_with_a_task_that_is_stopped(
    pd: Pd, small: Path, cluster: Path, slow_ingest: Callable[[float], None], tmp_path: Path
) -> None:
    """A task that is told to stop exits with 75, asks to be run again, and appends to its log."""
    slow_ingest(2)
    job = pd("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "3", "--time", "5").out.strip()
    assert job.isdecimal()
    wait_for(lambda: _states(pd) == {"running": 3}, "three tasks run")
    wait_for(lambda: len(list(small.glob("leases/ingest/*/*.json"))) == 3, "three units are claimed")
    subprocess.run(["scancel", "--batch", "--signal=USR1", f"{job}_2"], check=True)
    wait_for(lambda: _states(pd).get("pending") == 1, "the task is in the queue again")
    # A node refuses a task that begins in the second in which it was ended there, and the task fails for good. Slurm
    # itself waits for two minutes.
    time.sleep(2)

    def is_done() -> bool:
        # Slurm lets a task that is run again wait for two minutes, from when it has really ended.
        subprocess.run(["scontrol", "update", f"JobId={job}_2", "StartTime=now"], check=False, capture_output=True)
        return done(pd, "ingest") == [0, 1, 2]

    wait_for(is_done, "all units are committed", 200)
    log = Path(f"pd-ingest-{job}_2.log").read_text()
    assert "SIGUSR1: stopping after this batch" in log and log.count("pd: ended with exit code 75") == 1, logs()
    wait_for(lambda: _states(pd) == {"completed": 3}, "three tasks have ended")
    assert Path(f"pd-ingest-{job}_2.log").read_text().endswith("pd: ended with exit code 0\n")
    kept = committed(small)
    assert sum("/commits/" in path for path in kept) == 3


@pytest.mark.slow
def test_a_job_is_cancelled(pd: Pd, small: Path, cluster: Path, slow_ingest: Callable[[float], None]) -> None:
    """Its tasks stop without a commit, are not run again, and the units are free at once."""
    slow_ingest(2)
    assert pd("stage", "cancel").err == "No job of the nodes waits or runs.\n"
    job = pd("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "2").out.strip()
    wait_for(lambda: len(list(small.glob("leases/ingest/*/*.json"))) == 2, "two units are claimed")
    assert pd("stage", "cancel", "ingest").err == f"ingest: job {job} cancelled\n"
    wait_for(lambda: _states(pd) == {"cancelled": 2}, "both tasks are cancelled")
    assert not list(small.glob("layers/ingest/*/commits/*.json")) and done(pd, "ingest") == []
    assert pd("stage", "cancel").err == "No job of the nodes waits or runs.\n"


def test_without_slurm_the_state_of_a_job_is_unknown(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pd status` shows the job all the same; to cancel it is an error that names what is missing."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert pd("stage", "cancel").code == 0
    record = {"job": "7", "nodes": ["ingest"], "tasks": [1], "shards": 1, "log": "/x/%a.log", "submitted": "now"}
    fingerprint = json.loads(pd("status", "--json").out)["nodes"]["ingest"]["layer"]
    folder = store / "jobs" / "ingest" / fingerprint
    folder.mkdir(parents=True)
    (folder / "00000.json").write_text(json.dumps(record))
    (folder / "00001.json").write_text("[]")
    assert _states(pd) == {"unknown": 1}
    failed = pd("stage", "cancel", "ingest")
    assert failed.code == 2 and "there is no command squeue on this machine" in failed.err
