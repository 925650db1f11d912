"""The script of an array job: each task computes one shard, and asks to be run again if it was told to stop."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from cli.options import Launch

__all__ = ["ENDED", "WARNING_S", "log_path", "slurm_script"]

WARNING_S = 60
"""Seconds before its time limit at which Slurm tells a task to stop."""

GRACE_S = 120
"""Seconds that the other machines of a training have to end after the first of them has ended."""

ENDED = "pd: ended with exit code"
"""How the last line of a task's log begins."""

_WATCH = f"""worker=$!
# At the time limit the worker is told to stop; it then exits with 75, and the task is put back into the queue.
trap 'kill -USR1 "$worker" 2>/dev/null' USR1
# Slurm sends this to the worker, too: when somebody cancels the job, and when it preempts it.
trap 'told=1' TERM
wait "$worker"
while kill -0 "$worker" 2>/dev/null; do wait "$worker"; done
wait "$worker"
code=$?
echo "{ENDED} $code"
if [ "$code" -eq 75 ] && [ -z "$told" ]; then
  trap '' TERM
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


def log_path(name: str, folder: Path, job: str) -> str:
    """The path of a job's logs, in which ``%a`` stands for the number of the task."""
    return f"{folder}/pd-{name}-{job}_%a.log"


def slurm_script(
    command: Sequence[str], name: str, launch: Launch, folder: Path, *, tasks: Sequence[int] = (), mark: str = ""
) -> str:
    """The script of an array job in which each task runs the command on one shard.

    Slurm signals each task to stop one minute before its time limit. A task that stopped before it was done asks to be
    run again. With several machines per task (``launch.nodes``), each of them starts its ranks of one training.

    Args:
        name: what the job computes.
        folder: working folder of the tasks; their logs go there.
        tasks: which of the ``launch.jobs`` shards are computed; all of them if there are none here.
        mark: a comment by which the job can be found among others.
    """
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name=pd-{name}",
        f"#SBATCH --array={_ranges(tasks) or f'1-{launch.jobs}'}",
        f"#SBATCH --chdir={_quoted(str(folder))}",
        f"#SBATCH --output=pd-{name}-%A_%a.log",
        f"#SBATCH --signal=B:USR1@{WARNING_S}",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
    ]
    if mark:
        lines.append(f"#SBATCH --comment={mark}")
    if launch.gpus:
        lines.append(f"#SBATCH --gres=gpu:{launch.gpus}")
    if launch.nodes > 1:
        lines += [f"#SBATCH --nodes={launch.nodes}", "#SBATCH --ntasks-per-node=1"]
    lines += [f"#SBATCH {argument}" for argument in launch.slurm_args]
    if os.environ.get("PYTHONPATH"):
        lines.append(f"export PYTHONPATH={shlex.quote(os.environ['PYTHONPATH'])}")
    return "\n".join([*lines, f"{_started(command, launch)} &", _WATCH])


def _started(command: Sequence[str], launch: Launch) -> str:
    """The line that starts the worker of one task."""
    words = list(command)
    is_spread = launch.nodes > 1
    if launch.gpus > 1 or (launch.gpus and is_spread):
        words += ["--gpus", str(launch.gpus)]
    elif launch.workers and not launch.gpus:
        words += ["--workers", str(launch.workers)]
    if is_spread:
        words += ["--nodes", str(launch.nodes)]
    line = f'{shlex.join(words)} --shard "$SLURM_ARRAY_TASK_ID/{launch.jobs}"'
    if not is_spread:
        return line
    # Slurm names the first machine of the task to each of them. The port differs between jobs that share a machine.
    meeting = """bash -c 'exec "$@" --rendezvous "$SLURM_LAUNCH_NODE_IPADDR:$0"' $((20000 + SLURM_JOB_ID % 20000))"""
    return f"srun --kill-on-bad-exit=0 --wait={GRACE_S} {meeting} {line}"


def _quoted(path: str) -> str:
    return path if path == shlex.quote(path) else f'"{path}"'


def _ranges(tasks: Sequence[int]) -> str:
    """``1-3,7``."""
    runs: list[list[int]] = []
    for task in sorted(tasks):
        if runs and task == runs[-1][1] + 1:
            runs[-1][1] = task
        else:
            runs.append([task, task])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
