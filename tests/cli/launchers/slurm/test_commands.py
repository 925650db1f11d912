"""The commands of Slurm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.launchers.slurm.commands import Listed, cancel, list_jobs, submit
from pdstore.errors import PdError


def test_a_job_is_listed_and_cancelled(cluster: Path, tmp_path: Path) -> None:
    """A job that is held waits with its mark, its name, its folder and a state for each task."""
    script = "#!/bin/bash\n#SBATCH --job-name=pd-x\n#SBATCH --comment=pd:1\n#SBATCH --array=2-3\nsleep 60\n"
    job = submit(script, tmp_path / "job.sbatch", "--hold", f"--chdir={tmp_path}")
    listed = list_jobs()[job]
    assert listed == Listed("pd:1", "pd-x", str(tmp_path), {2: "PENDING", 3: "PENDING"}) and listed.is_live
    cancel([job])
    assert set(list_jobs()[job].states.values()) == {"CANCELLED"} and not list_jobs()[job].is_live
    with pytest.raises(PdError, match=r"^/.*job.sbatch: sbatch rejected the job: .*partition.*--partition NAME"):
        submit(script, tmp_path / "job.sbatch", "--partition=nowhere")


def test_a_slurm_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is what the command said, and how to look for the cause."""
    (tmp_path / "squeue").write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to\n contact' >&2\nexit 1\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(PdError, match=r"^squeue: slurm_load_jobs error: Unable to contact\. Is slurmctld up\?"):
        list_jobs()
