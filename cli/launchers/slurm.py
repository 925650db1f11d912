"""Slurm: an array job in which each task computes one shard."""

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
    """The script of an array job in which each task runs the command on one shard.

    Slurm signals each task to stop one minute before its time limit.

    Args:
        folder: working folder of the tasks; their logs go there.
    """
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
    # exec replaces the shell by the worker, so that the signal reaches it.
    lines.append(f'exec {shlex.join(words)} --shard "$SLURM_ARRAY_TASK_ID/{launch.jobs}"')
    return "\n".join(lines) + "\n"


def submit(script: str, path: Path) -> str:
    """Write the script to ``path`` and submit it with ``sbatch``. Returns the job id.

    Raises:
        UsageError: this machine has no ``sbatch``.
        PdError: ``sbatch`` rejected the job.
    """
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        fix = "Run this on a Slurm login node, or use --workers N here; --dry-run prints the script"
        raise UsageError("there is no command sbatch on this machine", "--launcher slurm", fix)
    path.write_text(script)
    done = subprocess.run([sbatch, "--parsable", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        fix = "Correct the request, for example with --slurm-arg=--partition=NAME"
        raise PdError(f"sbatch rejected the job: {reason}", str(path), fix)
    return done.stdout.strip().split(";")[0]
