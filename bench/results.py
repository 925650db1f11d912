"""Two ways to do the same work, timed in turns, and what was measured, held against :mod:`bench.targets`.

A benchmark calls :func:`report`; ``python -m bench`` gathers what all of them reported.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.targets import TARGETS

__all__ = ["RESULTS", "Times", "ratios", "report", "take_turns"]

RESULTS = "PD_BENCH_RESULTS"
"""Environment variable: the file to which every reported figure is appended, as a line of JSON."""


@dataclass
class Times:
    """Seconds of the runs of one way, in the order of the runs: processor time of this process, and time passed."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def take_turns(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """Every way ``repeats`` times, one after the other, so that a busy machine slows down all of them."""
    times = {name: Times() for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            times[name].cpu.append(time.process_time() - cpu)
            times[name].wall.append(time.perf_counter() - wall)
    return times


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """How many times faster each run is than the one beside it."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def report(name: str, values: Sequence[float], wall: Sequence[float] = (), note: str = "") -> None:
    """Print a figure of :data:`~bench.targets.TARGETS`: median, smallest, largest; and append it to the results.

    Args:
        values: the figure in each run; of ratios, those of processor time.
        wall: the same of the time that passed.
        note: what a reader of the table has to know of it.
    """
    target, value = TARGETS[name], statistics.median(values)
    row = {
        "name": name,
        "value": round(value, 4),
        "unit": target.unit,
        "against": target.against,
        "at_least": target.at_least,
        "at_most": target.at_most,
        "ok": target.is_met(value),
        "lowest": round(min(values), 4),
        "highest": round(max(values), 4),
        "wall": round(statistics.median(wall), 4) if wall else None,
        "note": note,
    }
    bound = f"at least {target.at_least}" if target.at_most is None else f"at most {target.at_most}"
    spread = f"{row['value']} {target.unit} ({row['lowest']} to {row['highest']})"
    print(f"{name}: {spread}, {bound} is asked: {'ok' if row['ok'] else 'NOT REACHED'} {note}".rstrip(), flush=True)
    if path := os.environ.get(RESULTS):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(row)}\n")
