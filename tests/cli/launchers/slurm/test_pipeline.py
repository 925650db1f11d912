"""A pipeline as jobs of a real Slurm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from cli.launchers.jobs import Job
from cli.launchers.slurm.pipeline import dependency
from pdstore import Store
from stages.plan.project import Project
from tests.cli.conftest import Pd, assert_error
from tests.cli.launchers.slurm.conftest import done, logs


def test_a_task_waits_for_what_it_reads(store: Path) -> None:
    """A block needs its shard only; what needs all blocks, or divides them otherwise, needs the whole job."""
    project = Project.open(Store(str(store)))
    jobs = {
        "ingest": Job("7", ("ingest",), (1, 2, 3), 3, ""),
        "detic": Job("8", ("detic",), (1, 3), 3, ""),
        "candidates": Job("9", ("candidates",), (1, 2, 3), 3, ""),
    }
    assert dependency(project, ["detic"], 3, [1, 3], jobs) == "aftercorr:7"
    assert dependency(project, ["grouping"], 3, [1, 2], jobs) == "aftercorr:7,afterok:8"
    assert dependency(project, ["detic"], 2, [1], jobs) == "afterok:7"
    assert dependency(project, ["ranking"], 1, [1], jobs) == "afterok:9"
    assert dependency(project, ["ingest"], 3, [1], jobs) == dependency(project, ["detic"], 3, [1], {}) == ""


def test_a_pipeline_runs_to_its_end(
    pd: Pd, small: Path, cluster: Path, slow_ingest: Callable[[float], None], tmp_path: Path
) -> None:
    """A process that follows the jobs may die: the next one starts nothing twice and waits for the end."""
    for node in ("ingest", "truth-parts"):
        assert pd("stage", "run", node, "--shard", "2/3").code == 0
    slow_ingest(1)
    words = ["run", "--launcher", "slurm", "--jobs", "3", "--partition", "all"]
    first = subprocess.Popen([sys.executable, "-m", "cli", *words], stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    said = "".join(_until(first.stderr, "truth-parts: job"))
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    jobs = json.loads(pd("status", "--json").out)["jobs"]
    assert [job["nodes"] for job in jobs] == [["ingest"], ["truth-objects"], ["truth-parts"]]
    number = jobs[0]["job"]
    assert f"2 tasks, after aftercorr:{number}\n" in said and f"3 tasks, after afterok:{number}\n" in said
    again = pd(*words)
    assert again.code == 0, again.err + logs()
    assert again.err.count("is already there") == 3 and "submitted" not in again.err
    assert [done(pd, node) for node in ("ingest", "truth-parts", "truth-objects")] == [[0, 1, 2]] * 3
    assert len(list(Path().glob("pd-*.log"))) == 7
    assert "already done" in pd(*words).err


def _until(lines: IO[str], word: str) -> Iterator[str]:
    for line in lines:
        yield line
        if word in line:
            return
    raise AssertionError(f"no line has {word!r}")


@pytest.mark.slow
def test_a_job_that_fails_is_named_with_its_log(pd: Pd, small: Path, cluster: Path, tmp_path: Path) -> None:
    """One sentence: the task, the job, the last error and the log; what was to follow never begins."""
    assert pd("run", "ingest").code == 0
    whole, key = (tmp_path / "photos" / "truth.json").read_text(), "truth-parts"
    (tmp_path / "photos" / "truth.json").write_text(whole.replace("file_name", "name"))
    failed = pd("run", key, "--launcher", "slurm", "--jobs", "1")
    log = next(Path().absolute().glob("pd-truth-parts-*.log"))
    number = log.name.removeprefix("pd-truth-parts-").partition("_")[0]
    assert_error(failed, 1, f"truth-parts: task 1 of job {number} failed with exit code 1; 3 units are missing", log)
    assert "file_name" in failed.err and f"job {number}, 1 failed" not in failed.err
    states = [job["tasks"] for job in json.loads(pd("status", "--json").out)["jobs"]]
    assert states == [{"failed": 1}] and number in pd("status").out
