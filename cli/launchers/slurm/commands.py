"""The commands of Slurm that are used: to submit a job, to list jobs with their states, and to cancel some."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pdstore.errors import PdError, UsageError

__all__ = ["ENDED_STATES", "Listed", "cancel", "list_jobs", "submit"]

ENDED_STATES = frozenset(
    (
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    )
)
"""States in which a task has ended for good. In every other state it waits, runs, or will run again."""

TIMEOUT_S = 120


@dataclass
class Listed:
    """A job as Slurm lists it, until some minutes after its end.

    Attributes:
        mark: its comment. name: its name. folder: its working folder.
        states: number of a task -> its state, such as RUNNING.
    """

    mark: str
    name: str
    folder: str
    states: dict[int, str] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        """True as long as a task waits or runs."""
        return any(state not in ENDED_STATES for state in self.states.values())


def submit(script: str, path: Path, *options: str) -> str:
    """Write the script to ``path`` and submit it with ``sbatch``. Returns the job id.

    Raises:
        UsageError: this machine has no ``sbatch``.
        PdError: ``sbatch`` rejected the job.
    """
    sbatch = _program("sbatch", "Run this on a Slurm login node, or use --workers N here; --dry-run prints the script")
    path.write_text(script)
    try:
        return _run([sbatch, "--parsable", *options, str(path)]).strip().split(";")[0]
    except PdError as error:
        fix = "Correct the request, for example with --partition NAME"
        raise PdError(f"sbatch rejected the job: {error.problem}", str(path), fix) from None


def list_jobs() -> dict[str, Listed]:
    """Job id -> the job, of all jobs of this user that Slurm still knows.

    Raises:
        UsageError: this machine has no ``squeue``.
        PdError: Slurm does not answer.
    """
    squeue = _program("squeue", "Run this on a Slurm login node")
    wanted = "--format=%F|%K|%T|%k|%j|%Z"
    found: dict[str, Listed] = {}
    for line in _run([squeue, "--noheader", "--array", "--states=all", "--me", wanted]).splitlines():
        job, task, state, mark, name, folder = line.split("|", 5)
        listed = found.setdefault(job, Listed(mark, name, folder))
        listed.states[int(task) if task.isdecimal() else 1] = state
    return found


def cancel(jobs: Sequence[str]) -> None:
    """Cancel jobs: tasks that run are told to stop, and those that wait never begin.

    Raises:
        UsageError: this machine has no ``scancel``.
        PdError: Slurm refused.
    """
    _run([_program("scancel", "Run this on a Slurm login node"), *jobs])


def _program(name: str, fix: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"there is no command {name} on this machine", "--launcher slurm", fix)
    return found


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise PdError(f"no answer within {TIMEOUT_S} s", Path(command[0]).name, "Is slurmctld up? Try: sinfo") from None
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise PdError(reason, Path(command[0]).name, "Is slurmctld up? Try: sinfo")
    return done.stdout
