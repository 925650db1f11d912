"""Launchers: they start worker processes of ``pd stage run`` and do no work themselves."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.options import Launch, Request
from cli.progress import WORKER
from pdstore import Store
from pdstore.errors import PartlyFailed, PdError, Preempted, StaleSettings, UsageError
from stages.run.signals import StopRequest

__all__ = ["devices_for", "run_workers", "slurm_script", "submit", "worker_command"]

_WORST_LAST = (0, Preempted.exit_code, PartlyFailed.exit_code, StaleSettings.exit_code, UsageError.exit_code)
POLL_S = 0.1
OUT_OF_MEMORY = "If memory ran out, use fewer --workers. Run the same command again to go on"


@dataclass(frozen=True)
class _Worker:
    name: str
    process: subprocess.Popen[bytes]


def worker_command(store: Store, node: str, request: Request, overrides: Sequence[str]) -> list[str]:
    """The words that start one worker: this Python, the same store, node, options and overrides."""
    url = store.files.root if store.files.is_local else store.url
    options, flags = request.options, []
    for name in ("allow_partial", "new_layer", "refresh", "wait"):
        if getattr(options, name):
            flags.append(f"--{name.replace('_', '-')}")
    if options.shard:
        flags += ["--shard", f"{options.shard.k}/{options.shard.n}"]
    if options.limit:
        flags += ["--limit", str(options.limit)]
    flags += ["--retries", str(options.retries), "--max-error-rate", str(options.max_error_rate)]
    return [sys.executable, "-m", "cli", "--store", url, "stage", "run", node, *flags, *overrides]


def run_workers(command: Sequence[str], launch: Launch, units: int, stop: StopRequest) -> int:
    """Run the command in several processes at once, which share the units by claims; never more than units.

    Returns:
        The worst exit code.

    Raises:
        UsageError: fewer GPUs than asked for.
        PdError: a worker was killed.
    """
    devices = devices_for(launch.gpus)
    count = min(units, launch.gpus or launch.workers)
    threads = str(max(1, (os.cpu_count() or 1) // count))
    workers = []
    try:
        for number in range(count):
            environment = {**os.environ, WORKER: f"{number + 1}/{count}"}
            environment |= {name: threads for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
            if devices:
                environment["CUDA_VISIBLE_DEVICES"] = devices[number]
            # A session of its own: signals reach a worker through us alone, and so exactly once.
            process = subprocess.Popen(command, env=environment, start_new_session=True)
            workers.append(_Worker(f"{number + 1}/{count}", process))
        return _wait(workers, stop)
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()


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


def devices_for(gpus: int) -> list[str]:
    """The names of ``gpus`` GPUs; raises UsageError if there are fewer."""
    if not gpus:
        return []
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = torch.cuda.device_count()
    if found < gpus:
        fix = f"Ask for --gpus {found}" if found else "Use --workers N to share the CPU"
        raise UsageError(f"expected {gpus} GPUs, found {found}", "--gpus", fix)
    return named.split(",")[:gpus] if named else [str(number) for number in range(gpus)]


def _wait(workers: Sequence[_Worker], stop: StopRequest) -> int:
    forwarded = 0
    while any(worker.process.poll() is None for worker in workers):
        if stop.signal and stop.signal != forwarded:
            forwarded = stop.signal
            for worker in workers:
                if worker.process.poll() is None:
                    worker.process.send_signal(forwarded)
        time.sleep(POLL_S)
    if stop.signal:
        raise Preempted(f"expected to finish, found {signal.Signals(stop.signal).name}", "workers")
    # A worker says itself why it fails, but not that it was killed.
    codes = {worker.name: worker.process.returncode for worker in workers}
    if killed := [f"{name} killed by {signal.Signals(-code).name}" for name, code in codes.items() if code < 0]:
        raise PdError(f"worker {', worker '.join(killed)}", "workers", OUT_OF_MEMORY)
    return max(codes.values(), key=_badness)


def _badness(code: int) -> int:
    return _WORST_LAST.index(code) if code in _WORST_LAST else len(_WORST_LAST)
