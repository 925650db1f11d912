"""Worker processes on this machine, which divide the units of a node among themselves by leases.

A worker that is killed is started again, at most ``RESTARTS`` times. On a terminal a table shows what each one does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from cli.launchers.table import WorkerTable
from cli.launchers.worker import devices_for
from cli.options import Launch
from cli.output import say
from cli.progress import REPORTS, WORKER
from pdstore.errors import PartlyFailed, PdError, Preempted, StaleSettings, UsageError
from stages.run.signals import StopRequest

__all__ = ["RESTARTS", "run_workers"]

_WORST_LAST = (0, Preempted.exit_code, PartlyFailed.exit_code, StaleSettings.exit_code, UsageError.exit_code)
POLL_S = 0.1
RESTARTS = 3
"""So often each worker that was killed is started again."""
LARGEST_FILE = 1 << 20
OUT_OF_MEMORY = "If memory ran out, use fewer --workers. Run the same command again to continue"


class _Worker:
    """A process of this machine, and its successors.

    Attributes:
        name: such as ``2/4``. restarts: how often it was started again.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], table: WorkerTable | None):
        self.name, self.restarts = name, 0
        self._command, self._environment, self._table = command, {**environment, WORKER: name}, table
        if table is not None:
            self._environment[REPORTS] = "1"
        self.start()

    def start(self) -> None:
        if self._table is not None:
            # A file and no pipe: a worker goes on if this process is killed.
            self._said, self._read_to, self._rest = tempfile.TemporaryFile("a+b"), 0, b""  # noqa: SIM115
        pipe = None if self._table is None else self._said
        # A session of its own: a signal reaches the worker only through this process, hence exactly once.
        self.process = subprocess.Popen(self._command, env=self._environment, start_new_session=True, stderr=pipe)

    def read(self) -> None:
        """Give the table what the worker has printed since the last time."""
        if self._table is None:
            return
        while data := os.pread(self._said.fileno(), 1 << 20, self._read_to):
            self._read_to += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._table.take(self.name, line.decode(errors="replace"))
        if self._read_to > LARGEST_FILE:
            # Reports of weeks would fill the disk. What is printed just now may be lost: the next report follows.
            self._said.truncate(0)
            self._read_to = 0

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self.process.poll()

    @property
    def has_to_go_on(self) -> bool:
        """True if the worker was killed or told to stop by somebody else, and may be started again."""
        code = self.code
        return code is not None and (code < 0 or code == Preempted.exit_code) and self.restarts < RESTARTS

    def restart(self) -> None:
        code = self.process.returncode
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else "stopped by somebody else"
        self.restarts += 1
        note = f"worker {self.name} {how}; started again ({self.restarts} of {RESTARTS} times)"
        self.read()
        if self._table is None:
            say(note)
        else:
            self._table.note(note)
            self._table.restarted(self.name)
        self.start()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.read()


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
        PdError: a worker was killed more than ``RESTARTS`` times.
    """
    devices = devices_for(launch.gpus)
    count = min(units, launch.gpus or launch.workers)
    names = [f"{number + 1}/{count}" for number in range(count)]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    shared = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)}
    workers: list[_Worker] = []
    table = WorkerTable(names) if sys.stderr.isatty() else None
    try:
        for number, name in enumerate(names):
            own = {"CUDA_VISIBLE_DEVICES": devices[number]} if devices else {}
            workers.append(_Worker(name, command, shared | own, table))
        return _wait(workers, stop, table)
    finally:
        for worker in workers:
            worker.end()
        if table is not None:
            table.close()


def _wait(workers: Sequence[_Worker], stop: StopRequest, table: WorkerTable | None) -> int:
    forwarded = 0
    while True:
        if stop.signal and stop.signal != forwarded:
            forwarded = stop.signal
            for worker in workers:
                if worker.code is None:
                    worker.process.send_signal(forwarded)
        if not stop.signal:
            for worker in workers:
                if worker.has_to_go_on:
                    worker.restart()
        if table is not None:
            for worker in workers:
                worker.read()
            table.show({worker.name: worker.code for worker in workers}, is_stopping=bool(forwarded))
        if all(worker.code is not None for worker in workers):
            break
        time.sleep(POLL_S)
    if stop.signal:
        raise Preempted(f"stopped by {signal.Signals(stop.signal).name}", "workers")
    # A worker that fails prints why; a worker that was killed cannot.
    codes = {worker.name: worker.process.returncode for worker in workers}
    if killed := [f"{name} killed by {signal.Signals(-code).name}" for name, code in codes.items() if code < 0]:
        raise PdError(f"worker {', worker '.join(killed)}, {RESTARTS + 1} times", "workers", OUT_OF_MEMORY)
    return max(codes.values(), key=_badness)


def _badness(code: int) -> int:
    return _WORST_LAST.index(code) if code in _WORST_LAST else len(_WORST_LAST)
