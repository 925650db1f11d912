"""Workers as tasks of a Ray cluster. Each task is one ``pd stage run``; the units are divided by leases.

The process that started the tasks watches them: if it dies, Ray ends them, and the same command continues the work.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from cli.launchers.parent import STOP_WITH_PARENT
from cli.launchers.worker import PROGRAM
from cli.options import Launch
from cli.output import say
from cli.progress import WORKER
from pdstore.errors import PartlyFailed, PdError, Preempted, StaleSettings, UsageError
from stages.run.signals import StopRequest
from stages.stage import Stage

__all__ = ["RESTARTS", "run_tasks"]

RESTARTS = 3
"""So often a task whose worker was killed is started again. Tasks of nodes that were lost are always started again."""
PASSED_ON = ("OMP_NUM_THREADS", "PYTHONPATH")
"""Environment variables that workers have as this process has them."""
POLL_S = 0.5
GRACE_S = 120
"""Seconds that workers have to finish their batch after they were told to stop."""
_WORST_LAST = (0, Preempted.exit_code, PartlyFailed.exit_code, StaleSettings.exit_code, UsageError.exit_code)


def run_tasks(command: Sequence[str], launch: Launch, units: int, stage: Stage, stop: StopRequest) -> int:
    """Run the command in several tasks at once, and wait for all of them.

    A task has one GPU and one worker for each, or as many cores as it has workers.

    Args:
        command: of one worker, as :func:`cli.launchers.worker.worker_command` gives it.
        units: units that can be computed; no more tasks than that are started.

    Returns:
        The worst exit code.

    Raises:
        UsageError: Ray is not installed, or there is no cluster at ``launch.ray_address``.
        Preempted: a signal stopped the workers.
        PdError: a worker was killed more than ``RESTARTS`` times.
    """
    count = min(launch.jobs, units)
    gpus = launch.gpus if stage.uses_network else 0
    words = [*command[command.index(str(PROGRAM)) + 1 :]]
    if gpus > 1 or launch.workers > 1:
        words += ["--gpus", str(gpus)] if gpus else ["--workers", str(launch.workers)]
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    with _cluster(launch.ray_address) as ray:
        remote = ray.remote(num_cpus=max(1, launch.workers), num_gpus=gpus, max_retries=0)(_work)
        tasks = _Tasks(ray, lambda name: remote.remote(words, {**environment, WORKER: name}), count)
        return tasks.wait(stop)


def _work(words: Sequence[str], environment: dict[str, str]) -> int:
    """On a node of the cluster: run one worker, with the program that is installed there. Returns its exit code."""
    # If Ray ends this process, the worker must not go on by itself.
    own = {**os.environ, **environment, STOP_WITH_PARENT: str(os.getpid())}
    process = subprocess.Popen([sys.executable, "-P", str(PROGRAM), *words], env=own, start_new_session=True)

    def pass_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(signal.SIGTERM)

    former = signal.signal(signal.SIGTERM, pass_on)
    try:
        return process.wait()
    except BaseException:
        # ``ray.cancel`` raises KeyboardInterrupt here.
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        raise
    finally:
        if process.poll() is None:
            process.kill()
        signal.signal(signal.SIGTERM, former)


class _Tasks:
    """The tasks of one node of the pipeline.

    Args:
        start: starts the worker of a name and returns the reference of its task.
    """

    def __init__(self, ray: Any, start: Any, count: int) -> None:
        self._ray, self._start = ray, start
        self._names = {start(name): name for name in (f"{number + 1}/{count}" for number in range(count))}
        self._restarts = dict.fromkeys(self._names.values(), 0)
        self._codes: dict[str, int] = {}

    def wait(self, stop: StopRequest) -> int:
        while self._names:
            if stop.signal:
                self._cancel(stop)
            ended, _ = self._ray.wait(list(self._names), num_returns=1, timeout=POLL_S)
            for reference in ended:
                self._end(self._names.pop(reference), reference)
        if killed := [
            f"{name} killed by {signal.Signals(-code).name}" for name, code in self._codes.items() if code < 0
        ]:
            fix = "If memory ran out, use fewer --workers per task. Run the same command again to continue"
            raise PdError(f"worker {', worker '.join(killed)}, {RESTARTS + 1} times", "--launcher ray", fix)
        return max(self._codes.values(), key=lambda code: _WORST_LAST.index(code) if code in _WORST_LAST else 99)

    def _end(self, name: str, reference: Any) -> None:
        """Note the exit code of a task, or start it again."""
        errors = self._ray.exceptions
        try:
            code = int(self._ray.get(reference))
        except (errors.NodeDiedError, errors.ObjectLostError, errors.TaskUnschedulableError) as error:
            self._again(name, f"its node was lost ({type(error).__name__})")
            return
        except errors.WorkerCrashedError:
            # Ray reports so, too, if the node of the worker is lost.
            code = -signal.SIGKILL
        except errors.OutOfMemoryError:
            code = -signal.SIGKILL
        if (code < 0 or code == Preempted.exit_code) and self._restarts[name] < RESTARTS:
            self._restarts[name] += 1
            self._again(name, f"it was stopped; {self._restarts[name]} of {RESTARTS} times")
        else:
            self._codes[name] = code

    def _again(self, name: str, why: str) -> None:
        say(f"worker {name} is started again: {why}")
        self._names[self._start(name)] = name

    def _cancel(self, stop: StopRequest) -> None:
        references = list(self._names)
        for reference in references:
            self._ray.cancel(reference, force=False)
        deadline = time.monotonic() + GRACE_S
        while references and time.monotonic() < deadline:
            _, references = self._ray.wait(references, num_returns=len(references), timeout=POLL_S)
        raise Preempted(f"stopped by {signal.Signals(stop.signal).name}", "workers")


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """The module ``ray``, connected to a cluster; a connection that was there before stays."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UsageError("the package ray is not installed", "--launcher ray", "pip install 'pdstore[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    try:
        _check_port(address)
        ray.init(address=address, log_to_driver=True)
    except (OSError, ValueError, RuntimeError) as error:
        fix = "Start one with ray start --head, or name it: --ray-address HOST:6379"
        reason = str(error).partition("\n")[0]
        raise UsageError(f"no Ray cluster can be reached: {reason}", f"--ray-address {address}", fix) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_port(address: str) -> None:
    """Raises OSError if nobody listens at the address: Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()
