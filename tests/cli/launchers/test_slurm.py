"""Slurm array jobs: the script and its submission."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cli.launchers.slurm import slurm_script
from cli.options import Launch
from tests.cli.conftest import Pd


def test_the_slurm_script_is_an_array_of_shards(pd: Pd, store: Path) -> None:
    """--dry-run prints the script: one shard per task, GPUs as gres, a signal one minute before the end."""
    words = ("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "10", "--gpus", "2", "--dry-run")
    script = pd(*words, "--slurm-arg=--partition=gpu", "ingest.max_pixels=99999").out
    assert script.startswith("#!/bin/bash\n")
    for line in ("--array=1-10", "--gres=gpu:2", "--signal=B:USR1@60", "--partition=gpu", "--job-name=pd-ingest"):
        assert f"#SBATCH {line}\n" in script
    assert script.splitlines()[-1].startswith("exec ") and '--shard "$SLURM_ARRAY_TASK_ID/10"' in script
    assert "ingest.max_pixels=99999" in script and str(store) in script


def test_the_nodes_of_a_pass_are_one_job(pd: Pd, pair: Path) -> None:
    """Each task computes its shard for both nodes."""
    script = pd("stage", "run", "detic", "sure", "--launcher", "slurm", "--jobs", "2", "--dry-run").out
    assert "#SBATCH --job-name=pd-detic+sure" in script
    assert " stage run detic sure " in script and script.endswith(' --shard "$SLURM_ARRAY_TASK_ID/2"\n')


def test_words_are_quoted_in_the_slurm_script(tmp_path: Path) -> None:
    """A path with a space stays one word."""
    script = slurm_script(["pd", "--store", "my store"], "crf", Launch("slurm", jobs=2), tmp_path)
    assert "exec pd --store 'my store' --shard" in script


def test_a_task_finds_the_program_and_its_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONPATH is exported if it is set; several GPUs of a task become workers of its shard."""
    monkeypatch.setenv("PYTHONPATH", "/my code")
    several = slurm_script(["pd"], "crf", Launch("slurm", gpus=2, jobs=3), tmp_path).splitlines()
    assert several[-2:] == ["export PYTHONPATH='/my code'", 'exec pd --gpus 2 --shard "$SLURM_ARRAY_TASK_ID/3"']
    monkeypatch.delenv("PYTHONPATH")
    single = slurm_script(["pd"], "crf", Launch("slurm", gpus=1, jobs=3), tmp_path).splitlines()
    assert single[-1] == 'exec pd --shard "$SLURM_ARRAY_TASK_ID/3"' and "#SBATCH --gres=gpu:1" in single
    assert f"#SBATCH --chdir={tmp_path}" in single and not any("PYTHONPATH" in line for line in single)


def test_slurm_without_sbatch(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the alternative."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = pd("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "2")
    assert (
        result.code == 2 and "there is no command sbatch on this machine" in result.err and "--workers N" in result.err
    )


def test_sbatch_that_refuses(pd: Pd, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error quotes sbatch; if sbatch accepts the job, its id goes to stdout."""
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    monkeypatch.setenv("PATH", f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}")
    for body, code in (("echo no such partition >&2; exit 1", 1), ("echo '77;cluster'", 0)):
        sbatch.write_text(f"#!/bin/sh\n{body}\n")
        sbatch.chmod(0o755)
        result = pd("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "2")
        assert result.code == code
        assert "no such partition" in result.err if code else result.out == "77\n"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("sbatch") is None, reason="needs a Slurm")
def test_a_real_array_job(pd: Pd, store: Path) -> None:
    """Three tasks of a real Slurm compute the three blocks."""
    if subprocess.run(["sinfo"], capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("Slurm is installed here but does not run")
    assert pd("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "3", "--slurm-arg=--time=5").code == 0
    for _ in range(120):
        if json.loads(pd("status", "--json").out)["nodes"]["ingest"]["done"] == [0, 1, 2]:
            return
        time.sleep(1)
    raise AssertionError("\n".join(path.read_text() for path in Path().glob("pd-ingest-*.log")))
