"""Slurm: an array job of which each task computes one shard."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cli.options import Launch
from pdstore.errors import PdError, UsageError

__all__ = ["slurm_script", "submit"]


def slurm_script(command: Sequence[str], node: str, launch: Launch, folder: Path) -> str:
    """An array job of which each task takes one shard. A minute before its time is up a task is told to stop."""
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name=pd-{node}",
        f"#SBATCH --array=1-{launch.jobs}",
        f"#SBATCH --chdir={folder}",
        f"#SBATCH --output=pd-{node}-%A_%a.log",
        "#SBATCH --signal=B:USR1@60",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
    ]
    if launch.gpus:
        lines.append(f"#SBATCH --gres=gpu:{launch.gpus}")
    lines += [f"#SBATCH {argument}" for argument in launch.slurm_args]
    words = [*command, *(["--gpus", str(launch.gpus)] if launch.gpus > 1 else [])]
    if os.environ.get("PYTHONPATH"):
        lines.append(f"export PYTHONPATH={shlex.quote(os.environ['PYTHONPATH'])}")
    # exec: the worker takes the shell's place, so that the signal reaches it.
    lines.append(f'exec {shlex.join(words)} --shard "$SLURM_ARRAY_TASK_ID/{launch.jobs}"')
    return "\n".join(lines) + "\n"


def submit(script: str, path: Path) -> str:
    """Write the script and hand it to ``sbatch``. Returns the job's id.

    Raises:
        UsageError: there is no sbatch on this machine.
        PdError: sbatch refused.
    """
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        fix = "Run this on a Slurm login node, or use --workers N here; --dry-run prints the script"
        raise UsageError("expected the command sbatch, found none", "--launcher slurm", fix)
    path.write_text(script)
    done = subprocess.run([sbatch, "--parsable", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        found = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise PdError(f"expected sbatch to take the job, found {found}", str(path), "Mend it with --slurm-arg")
    return done.stdout.strip().split(";")[0]
