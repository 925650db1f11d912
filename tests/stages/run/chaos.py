"""Workers that are killed, stopped and given wrong clocks, on one store, until all is computed.

Every worker is a process of its own. It is forked from one that has loaded what they need, so that a life costs little.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import pdstore.lease
import pdstore.leases.owner
from pdstore import Store
from schemas.pipeline import SourceSpec
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.progress import Silent, Watch
from stages.run.runner import run_node
from tests.forks import FORKS
from tests.stages.conftest import CLASSICAL, picture

__all__ = ["SPEC", "TIME_TO_LIVE_S", "Chaos", "pictures"]

TIME_TO_LIVE_S = 1.5
STEP_S = 0.03
"""How much longer a step takes: so there is a moment in which to kill."""
IDLE_S = 2.0
PATIENCE_S = 1500
YEAR_S = 365 * 86400.0
SHIFTS_S = (0.0, 600.0, -600.0, YEAR_S, -YEAR_S)
"""By how much the clocks of workers are wrong."""

SPEC = CLASSICAL


def pictures(folder: Path, count: int) -> SourceSpec:
    """An image folder of two classes."""
    for number in range(count):
        path = folder / ("cats" if number % 2 else "dogs") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(picture(number, 32))).save(path)
    return SourceSpec(root=str(folder))


class Reported(Silent):
    """Sends a byte for every image."""

    def __init__(self, steps: Connection) -> None:
        self._steps = steps

    def advance(self, images: int) -> None:
        self._steps.send_bytes(b"s")
        time.sleep(STEP_S)


def work(url: str, options: Mapping[str, Any], shift_s: float, machine: str, steps: Connection) -> None:
    """What a worker does: all nodes, one after the other, with a wrong clock. ``machine``: a container of this name."""
    now = time.time
    time.time = lambda: now() + shift_s
    time.time_ns = lambda: int(time.time() * 1e9)
    pdstore.lease.TIME_TO_LIVE_S = TIME_TO_LIVE_S
    if machine:
        pdstore.leases.owner.machine = lambda: machine
    project = Project.open(Store(url, **options))
    chosen = RunOptions(wait=True, max_error_rate=1.0, poll_s=0.2)
    for name in project.nodes:
        run_node(project, name, chosen, Watch(Reported(steps)))


@dataclass
class Worker:
    """A worker that runs."""

    process: Any
    steps: Connection

    def has_made(self, steps: int) -> bool:
        """Wait until it has made so many more steps, or makes none as it waits for others. False if it has ended."""
        try:
            while steps and self.steps.poll(IDLE_S):
                self.steps.recv_bytes()
                steps -= 1
        except EOFError:
            return False
        return self.process.is_alive()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> int:
        """Its exit code, once it has ended; on a busy machine and a slow server that takes long."""
        self.process.join(PATIENCE_S)
        self.steps.close()
        code = self.process.exitcode
        assert code is not None, f"a worker has not ended after {PATIENCE_S} s"
        return int(code)


@dataclass
class Chaos:
    """What befalls the workers of a store.

    Attributes:
        kills, stops: how many are killed, and how many stopped for longer than a lease holds.
        workers: how many there are at a time.
        killed, stopped: how many were.
        is_done: a worker has ended by itself, so all is computed.
    """

    url: str
    options: Mapping[str, Any]
    kills: int
    stops: int
    chance: random.Random
    workers: int = 4
    killed: int = 0
    stopped: int = 0
    is_done: bool = False
    _lives: int = 0
    _asleep: deque[tuple[float, Worker]] = field(default_factory=deque)

    def run(self) -> list[int]:
        """Until all is computed. Returns the exit codes of the workers that were not killed."""
        workers = [self._start() for _ in range(self.workers)]
        turns = ["kill"] * self.kills + ["stop"] * self.stops
        self.chance.shuffle(turns)
        for turn in turns:
            place = self.chance.randrange(self.workers)
            worker = workers[place]
            if not worker.has_made(self.chance.randrange(3)):
                self.is_done = True
                break
            time.sleep(self.chance.random() * 2 * STEP_S)
            if turn == "kill":
                worker.send(signal.SIGKILL)
                assert worker.end() == -signal.SIGKILL
                self.killed += 1
            else:
                worker.send(signal.SIGSTOP)
                self._asleep.append((time.monotonic() + 2 * TIME_TO_LIVE_S, worker))
                self.stopped += 1
            workers[place] = self._start()
            self._wake(workers)
        while self._asleep:
            time.sleep(max(0.0, self._asleep[0][0] - time.monotonic()))
            self._wake(workers)
        return [worker.end() for worker in workers]

    def _start(self) -> Worker:
        """The clock of each worker is wrong by another time, and every second one is in a container of its own."""
        number, self._lives = self._lives, self._lives + 1
        machine = f"container {number}" if number % 2 else ""
        steps, theirs = FORKS.Pipe(duplex=False)
        shift_s = SHIFTS_S[number % len(SHIFTS_S)]
        process = FORKS.Process(target=work, args=(self.url, self.options, shift_s, machine, theirs))
        process.start()
        theirs.close()
        return Worker(process, steps)

    def _wake(self, workers: list[Worker]) -> None:
        """Let those go on that have been stopped for longer than their leases hold."""
        while self._asleep and self._asleep[0][0] <= time.monotonic():
            _, worker = self._asleep.popleft()
            worker.send(signal.SIGCONT)
            workers.append(worker)
