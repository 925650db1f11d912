"""Slurm array jobs: the script and its submission."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cli.launchers.slurm.script import slurm_script
from cli.options import Launch
from tests.cli.conftest import Pd


def test_the_slurm_script_is_an_array_of_shards(pd: Pd, store: Path) -> None:
    """--dry-run prints the script: one shard per task, GPUs as gres, a signal one minute before the end."""
    words = ("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "10", "--gpus", "2", "--dry-run")
    script = pd(*words, "--slurm-arg=--partition=gpu", "ingest.max_pixels=99999").out
    assert script.startswith("#!/bin/bash\n")
    for line in ("--array=1-10", "--gres=gpu:2", "--signal=B:USR1@60", "--partition=gpu", "--job-name=pd-ingest"):
        assert f"#SBATCH {line}\n" in script
    assert '--shard "$SLURM_ARRAY_TASK_ID/10" &' in script and "scontrol requeue" in script
    assert "ingest.max_pixels=99999" in script and str(store) in script


def test_the_nodes_of_a_pass_are_one_job(pd: Pd, pair: Path) -> None:
    """Each task computes its shard for both nodes."""
    script = pd("stage", "run", "detic", "sure", "--launcher", "slurm", "--jobs", "2", "--dry-run").out
    assert "#SBATCH --job-name=pd-detic+sure" in script
    assert " stage run detic sure " in script and ' --shard "$SLURM_ARRAY_TASK_ID/2" &\n' in script


def test_words_are_quoted_in_the_slurm_script(tmp_path: Path) -> None:
    """A path with a space stays one word."""
    script = slurm_script(["pd", "--store", "my store"], "crf", Launch("slurm", jobs=2), tmp_path)
    assert "\npd --store 'my store' --shard" in script
    spaced = slurm_script(["pd"], "crf", Launch("slurm", jobs=2), tmp_path / "my folder")
    assert f'#SBATCH --chdir="{tmp_path}/my folder"\n' in spaced


def test_a_task_finds_the_program_and_its_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONPATH is exported if it is set; several GPUs of a task become workers of its shard."""
    monkeypatch.setenv("PYTHONPATH", "/my code")
    several = slurm_script(["pd"], "crf", Launch("slurm", gpus=2, jobs=3), tmp_path)
    assert "\nexport PYTHONPATH='/my code'\npd --gpus 2 --shard \"$SLURM_ARRAY_TASK_ID/3\" &\n" in several
    monkeypatch.delenv("PYTHONPATH")
    workers = slurm_script(["pd"], "crf", Launch("slurm", workers=4, jobs=3), tmp_path).splitlines()
    assert 'pd --workers 4 --shard "$SLURM_ARRAY_TASK_ID/3" &' in workers
    single = slurm_script(["pd"], "crf", Launch("slurm", gpus=1, jobs=3), tmp_path).splitlines()
    assert 'pd --shard "$SLURM_ARRAY_TASK_ID/3" &' in single and "#SBATCH --gres=gpu:1" in single
    assert f"#SBATCH --chdir={tmp_path}" in single and not any("PYTHONPATH" in line for line in single)


def test_a_task_of_several_machines_starts_ranks_on_each(tmp_path: Path) -> None:
    """Each machine is told where they meet, how many they are, and how many ranks it has."""
    script = slurm_script(["pd"], "train", Launch("slurm", gpus=1, jobs=1, nodes=2), tmp_path)
    assert "#SBATCH --nodes=2\n#SBATCH --ntasks-per-node=1\n" in script
    assert "\nsrun " in script and "--rendezvous" in script and " pd --gpus 1 --nodes 2 --shard " in script


def test_only_the_named_tasks_are_in_the_array(tmp_path: Path) -> None:
    """Shards that are done need no task; the number of shards stays."""
    script = slurm_script(["pd"], "crf", Launch("slurm", jobs=9), tmp_path, tasks=[1, 2, 3, 7], mark="pd:12")
    assert "#SBATCH --array=1-3,7\n" in script and "_ID/9" in script and "#SBATCH --comment=pd:12\n" in script


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
