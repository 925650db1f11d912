"""Trainings with several ranks, started by torchrun on the demo's store, have the same batches and losses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from pdstore import Store
from stages.train.process_group import ALONE, ProcessGroup, synchronise_norms

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("rank_program.py")
NODE = "distill-train"
# Over the border of an epoch, and with a learning rate that moves the losses.
CHANGES = [f"{NODE}.steps=8", f"{NODE}.lr=0.001", f"{NODE}.checkpoint_every=3", "--new-layer"]


def train(store: Store, trace: Path, ranks: int, die_at: int = -1, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the node under torchrun, or directly if there is one rank; ``more`` are further settings."""
    trace.mkdir(exist_ok=True)
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    command = [sys.executable, *torchrun, str(PROGRAM), "--store", store.url, "stage", "run", NODE, *CHANGES, *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TRACE": str(trace), "DIE_AT": str(die_at)}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def batches(trace: Path) -> dict[int, list[int]]:
    """Step -> image ids of the batch: the shares of the ranks, one after the other."""
    image_ids_of: dict[int, list[int]] = {}
    for file in sorted(trace.glob("rank*.jsonl")):
        steps = dict(json.loads(line) for line in file.read_text().splitlines())
        for step, image_ids in steps.items():
            image_ids_of.setdefault(step, []).extend(image_ids)
    return image_ids_of


def losses(store: Store) -> list[float]:
    # The finished store also has the log of the layer that --new-layer replaced.
    log = max(Path(store.url).glob(f"checkpoints/{NODE}/*/log.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    return [line["loss"] for line in lines]


def weights(store: Store, contents: Callable) -> str:
    return str(contents(store, [NODE])[NODE][0])


@pytest.fixture(scope="module")
def alone(finished: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    """A training in one process that was not interrupted."""
    import shutil

    folder = tmp_path_factory.mktemp("alone")
    shutil.copytree(finished.url, folder / "store")
    store = Store(str(folder / "store"))
    done = train(store, folder / "trace", 1)
    assert done.returncode == 0, done.stderr
    return store, folder / "trace"


def test_two_ranks_have_the_batches_and_losses_of_one(
    alone: tuple[Store, Path], copy_store: Callable[..., Store], tmp_path: Path
) -> None:
    """Image ids are identical batch by batch, and losses agree: statistics and totals span the ranks.

    The first within the rounding of a sum, the later ones within 1e-4 of their value, as each step amplifies the last.
    """
    store = copy_store()
    done = train(store, tmp_path / "trace", 2)
    assert done.returncode == 0, done.stderr
    assert batches(tmp_path / "trace") == batches(alone[1])
    found, expected = losses(store), losses(alone[0])
    assert found[0] == pytest.approx(expected[0], rel=1e-6) and found == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_what_the_first_rank_does_alone_changes_nothing(
    alone: tuple[Store, Path], copy_store: Callable[..., Store], tmp_path: Path
) -> None:
    """It draws pictures and evaluates on ground truth while the other rank waits; losses are those of one rank."""
    store = copy_store()
    looks = {"picture_every": 4, "validate_every": 4, "evaluate_every": 4, "evaluate_images": 2}
    more = [f"{NODE}.{name}={value}" for name, value in looks.items()]
    done = train(store, tmp_path / "trace", 2, -1, *more, f"{NODE}.evaluate_stores={store.url}")
    assert done.returncode == 0, done.stderr
    assert losses(store) == pytest.approx(losses(alone[0]), rel=1e-4)
    log = max(Path(store.url).glob(f"checkpoints/{NODE}/*/log.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for name in ("eval/demo/AR@200", "eval/demo/mIoU", "validation_loss"):
        assert [line["step"] for line in lines if name in line] == [4, 8]
    assert len(list((log.parent / "pictures").iterdir())) == 2


def test_killed_and_resumed_it_ends_bit_for_bit(
    alone: tuple[Store, Path], copy_store: Callable[..., Store], tmp_path: Path, contents: Callable
) -> None:
    """After kill -9 in a step, the same command ends with the weights and rows of the run without interruption."""
    store = copy_store()
    assert train(store, tmp_path / "first", 1, die_at=5).returncode == -9
    done = train(store, tmp_path / "second", 1)
    assert done.returncode == 0, done.stderr
    assert min(batches(tmp_path / "second")) == 3  # the step of the last checkpoint
    assert weights(store, contents) == weights(alone[0], contents)


@pytest.mark.slow
def test_another_number_of_ranks_continues_with_the_same_batches(
    alone: tuple[Store, Path], copy_store: Callable[..., Store], tmp_path: Path
) -> None:
    """Two ranks are killed and one rank finishes: no batch is lost, repeated or changed."""
    store = copy_store()
    assert train(store, tmp_path / "first", 2, die_at=4).returncode != 0
    done = train(store, tmp_path / "second", 1)
    assert done.returncode == 0, done.stderr
    whole, rest = batches(alone[1]), batches(tmp_path / "second")
    assert rest == {step: whole[step] for step in range(3, 8)}
    # The sums of two ranks are rounded otherwise, in float32, and each further step makes more of that.
    for steps, apart in ((3, 1e-6), (6, 1e-5), (8, 1e-4)):
        assert losses(store)[:steps] == pytest.approx(losses(alone[0])[:steps], rel=apart)


def test_all_ranks_skip_a_step_together(tmp_path: Path) -> None:
    """A gradient that overflows on one rank is skipped by both, and their weights stay equal, bit for bit."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*torchrun, str(Path(__file__).with_name("skip_program.py")), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line.split(" ", 2)[2]) for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert len(results) == 2 and results[0] == results[1]
    assert 0 < results[0][0][-1] < 8
    skipped = [json.loads(line).get("skipped_images") for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    # The ids are those of both ranks, and only one of them saw the image.
    assert all(len(ids) == 2 and 104 in ids for ids in skipped if ids)


@pytest.mark.slow
def test_workers_of_a_training_are_ranks_and_stop_together(copy_store: Callable[..., Store], tmp_path: Path) -> None:
    """`--workers 2`, then SIGTERM: both stop at one step, with exit code 75 and one error. So does a usage error."""
    store = copy_store(NODE)
    words = [f"{NODE}.steps=100000", "--new-layer", "--workers", "2"]
    command = [sys.executable, "-m", "cli", "--store", store.url, "stage", "run", NODE, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    log = Path(store.url) / "checkpoints" / NODE
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size > 1000 for file in log.glob("*/log.jsonl")):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75 and "Traceback" not in err and "Run the same command again to continue" in err
    folder = max(log.iterdir(), key=lambda path: path.stat().st_mtime)
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["step"]
    assert (folder / "checkpoints" / f"step_{last:08d}.pt").exists()
    bad = subprocess.run(
        [*command, f"{NODE}.batch_size=5"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert bad.returncode == 2 and "Traceback" not in bad.stderr
    assert bad.stderr.count("2 ranks cannot share a batch of 5 evenly") == 1


def test_alone_nothing_is_changed() -> None:
    """A single rank keeps the batch norm of torch, and sums are the values themselves."""
    network = nn.Sequential(nn.BatchNorm2d(3))
    synchronise_norms(network, ALONE)
    assert type(network[0]) is nn.BatchNorm2d
    assert ALONE.total(torch.ones(2)).tolist() == [1, 1]
    assert (ALONE.gathered("a"), ALONE.told("b")) == (["a"], "b")
    assert ProcessGroup.of_this_process() == ALONE
