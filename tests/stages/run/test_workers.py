"""Several processes on one store, and killed processes: the result is that of one undisturbed process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import Store, layout
from stages.plan.project import Project
from stages.plan.states import states

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("driver.py")
LIGHT = ("ingest", "truth-objects", "truth-parts", "crf", "labels")
"""Nodes that need no torch. Each reads blocks of the nodes before it, or of layers that stay in place."""


def worker(store: Store, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(DRIVER), store.url, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    """(exit code, lines of stdout, stderr) of a worker that ends by itself."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out.splitlines(), err


def stop_after(process: subprocess.Popen[str], steps: int, delay_s: float, number: signal.Signals) -> None:
    """Send a signal a moment after the worker has reported so many steps."""
    assert process.stdout is not None
    reported = 0
    for line in process.stdout:
        reported += line == "step\n"
        if (line == "ready\n" and not steps) or reported == steps > 0:
            break
    time.sleep(delay_s)
    process.send_signal(number)


def test_four_shards_in_any_order_give_the_tables_of_one_process(
    copy_store: Callable[..., Store], finished: Store, contents: Callable
) -> None:
    """Processes on the shards k/4, started in random order, commit what one process commits, checksum by checksum."""
    store = copy_store(*LIGHT)
    order = random.Random(4).sample(range(1, 5), 4)
    workers = [worker(store, ",".join(LIGHT), f"{k}/4") for k in order]
    for process in workers:
        code, _, err = outcome(process)
        assert code == 0, err
    assert contents(store) == contents(finished)


def test_workers_without_a_shard_compute_each_unit_once(
    copy_store: Callable[..., Store], finished: Store, contents: Callable, tmp_path: Path
) -> None:
    """Three processes that start together share the units by leases: each unit is computed once."""
    store = copy_store("crf")
    go = tmp_path / "go"
    workers = [worker(store, "crf", "", str(go)) for _ in range(3)]
    for process in workers:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    go.touch()
    results = [outcome(process) for process in workers]
    assert [code for code, _, _ in results] == [0, 0, 0], results
    done = Counter(line for _, lines, _ in results for line in lines if line.startswith("unit"))
    assert done == {f"unit crf {unit}": 1 for unit in range(5)}
    attempts = store.files.names(layout.attempts("crf", store.current()["crf"]))
    assert len(attempts) == 5
    assert contents(store, ["crf"]) == contents(finished, ["crf"])


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_block_nodes_end_as_if_undisturbed(
    seed: int, copy_store: Callable[..., Store], finished: Store, contents: Callable
) -> None:
    """kill -9 at random moments, then again: every table has the checksums of an uninterrupted run."""
    store, moments = copy_store(*LIGHT), random.Random(seed)
    for _ in range(2):
        process = worker(store, ",".join(LIGHT))
        stop_after(process, moments.randrange(60), moments.random() * 0.1, signal.SIGKILL)
        process.communicate()
    code, _, err = outcome(worker(store, ",".join(LIGHT)))
    assert code == 0, err
    assert contents(store) == contents(finished)
    assert {state.word for state in states(Project.open(store))} == {"done"}


def test_a_stopped_and_killed_training_ends_with_the_same_weights(
    copy_store: Callable[..., Store], finished: Store, contents: Callable
) -> None:
    """SIGTERM ends with exit code 75 and a checkpoint; after it and a kill -9 the weights are equal, bit for bit.

    In between the training is partly done.
    """
    store = copy_store("segmenter")
    process = worker(store, "segmenter")
    stop_after(process, 1, 0.0, signal.SIGTERM)
    code, _, err = outcome(process)
    assert code == 75, err
    assert "SIGTERM: stopping after this batch" in err and "stopped at step" in err
    fingerprint = store.current()["segmenter"]
    assert store.layer("segmenter", fingerprint).units() == [] == store.files.names(f"leases/segmenter/{fingerprint}")
    assert Path(store.url, layout.checkpoints("segmenter", fingerprint), "checkpoints").exists()
    words = {state.node: state.word for state in states(Project.open(store))}
    assert words["segmenter"] == "partly done"
    process = worker(store, "segmenter")
    stop_after(process, 1, random.Random(0).random() * 0.1, signal.SIGKILL)
    process.communicate()
    code, _, err = outcome(worker(store, "segmenter"))
    assert code == 0, err
    assert contents(store) == contents(finished)
