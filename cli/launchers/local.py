"""Worker processes on this machine, which divide the units of a node among themselves by leases."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cli.launchers.worker import devices_for
from cli.options import Launch
from cli.progress import WORKER
from pdstore.errors import PartlyFailed, PdError, Preempted, StaleSettings, UsageError
from stages.run.signals import StopRequest

__all__ = ["run_workers"]

_WORST_LAST = (0, Preempted.exit_code, PartlyFailed.exit_code, StaleSettings.exit_code, UsageError.exit_code)
POLL_S = 0.1
OUT_OF_MEMORY = "If memory ran out, use fewer --workers. Run the same command again to continue"


@dataclass(frozen=True)
class _Worker:
    name: str
    process: subprocess.Popen[bytes]


def run_workers(command: Sequence[str], launch: Launch, units: int, stop: StopRequest) -> int:
    """Run the command in several processes at once, which divide the units among themselves by leases.

    Args:
        units: units that can be computed; no more processes than that are started.
        stop: a signal noted here is passed on to the workers.

    Returns:
        The worst exit code.

    Raises:
        UsageError: there are fewer GPUs than requested.
        Preempted: a signal stopped the workers.
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
            # A session of its own: a signal reaches the worker only through this process, hence exactly once.
            process = subprocess.Popen(command, env=environment, start_new_session=True)
            workers.append(_Worker(f"{number + 1}/{count}", process))
        return _wait(workers, stop)
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()


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
        raise Preempted(f"stopped by {signal.Signals(stop.signal).name}", "workers")
    # A worker that fails prints why; a worker that was killed cannot.
    codes = {worker.name: worker.process.returncode for worker in workers}
    if killed := [f"{name} killed by {signal.Signals(-code).name}" for name, code in codes.items() if code < 0]:
        raise PdError(f"worker {', worker '.join(killed)}", "workers", OUT_OF_MEMORY)
    return max(codes.values(), key=_badness)


def _badness(code: int) -> int:
    return _WORST_LAST.index(code) if code in _WORST_LAST else len(_WORST_LAST)
