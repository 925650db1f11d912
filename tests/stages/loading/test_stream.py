"""Batches that do not depend on who makes them, and go on where they stopped."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from pdstore import Position, SampleOrder, Store
from pdstore.errors import CorruptData, StaleSettings, UsageError
from stages.loading.stream import Loader, Stream
from tests.stages.loading.made import ABOVE, BLOCK, make_store

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("rank_stream.py")
BATCHES = 4
"""Per epoch: 21 images, 6 at a time."""


def noted(sample: dict[str, Any]) -> list[float]:
    """A transform that draws a random number: what must not depend on processes."""
    return [sample["image_id"], len(sample["masks"]), torch.rand(1).item()]


def stream(store: Store, **options: Any) -> Stream:
    settings = {"batch_size": 6, "seed": 3, "window": 2, "transform": noted, "freeze_as": "above"}
    return Stream(store.url, ABOVE, **{**settings, **options})


def ids(batch: list[list[float]]) -> list[int]:
    return [int(sample[0]) for sample in batch]


@pytest.fixture(scope="module")
def epochs(made: Store) -> list[Any]:
    """The batches of three epochs, without interruption, in one process."""
    whole = stream(made)
    return [batch for _ in range(3) for batch in whole]


def test_batches_are_those_of_the_sample_order(made: Store, epochs: list[Any]) -> None:
    """Every image comes once per epoch, in the batches that the order says; epochs differ."""
    images = stream(made).image_ids
    order = SampleOrder(images // BLOCK, 6, 3, 2)
    expected = [images[rows].tolist() for _, rows in islice(order.batches(), 3 * BATCHES)]
    assert [ids(batch) for batch in epochs] == expected
    for epoch in (0, 1, 2):
        assert {i for batch in expected[epoch * BATCHES : (epoch + 1) * BATCHES] for i in batch} == set(images.tolist())
    assert expected[:BATCHES] != expected[BATCHES : 2 * BATCHES]


@pytest.mark.parametrize("stop", [1, 3, 4, 6])
def test_a_stream_continues_where_it_stood(made: Store, epochs: list[Any], stop: int) -> None:
    """After so many batches, a new stream that loads the state gives the batches that would have come."""
    first, found = stream(made), []
    while len(found) < stop:
        for batch in first:
            found.append(batch)
            if len(found) == stop:
                break
    second = stream(made)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    while len(found) < len(epochs):
        found.extend(second)
    assert found == epochs and second.position == Position(3, 0)


def test_ranks_share_every_batch(made: Store, epochs: list[Any]) -> None:
    """The slices of two, three or six processes are together the batch of one; other numbers are refused."""
    for ranks in (2, 3, 6):
        shares = zip(*(list(stream(made, rank=rank, ranks=ranks)) for rank in range(ranks)), strict=True)
        assert [[sample for part in share for sample in part] for share in shares] == epochs[:BATCHES]
    with pytest.raises(UsageError, match="cannot be split over 4 processes"):
        stream(made, rank=0, ranks=4)


def test_torchrun_says_the_rank(made: Store, epochs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a group is joined, the rank is that of the environment."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert list(stream(made)) == [batch[3:] for batch in epochs[:BATCHES]]


def test_workers_change_nothing(made: Store, epochs: list[Any]) -> None:
    """A loader with two spawned workers that outlive an epoch gives the same batches, and stops and resumes in it."""
    loader = Loader(stream(made), num_workers=2, multiprocessing_context="spawn", persistent_workers=True)
    found = [batch for _ in range(2) for batch in loader]
    found += islice(loader, 2)
    assert loader.state_dict()["epoch"] == 2 and loader.state_dict()["batches"] == 2
    resumed = Loader(stream(made))
    resumed.load_state_dict(loader.state_dict())
    assert found + list(resumed) == epochs


def test_a_plain_data_loader_is_told_the_epoch(made: Store, epochs: list[Any]) -> None:
    """With torch's own DataLoader and forked workers, one names the epoch and counts the batches."""
    source = stream(made)
    loader = DataLoader(source, batch_size=None, num_workers=2, multiprocessing_context="fork")
    source.set_epoch(1)
    assert list(loader) == epochs[BATCHES : 2 * BATCHES] and len(loader) == BATCHES
    state = source.state_dict(batches=3)
    assert (state["epoch"], state["batches"]) == (1, 3)
    source.load_state_dict(state)
    source.set_epoch(1)
    assert list(loader) == epochs[2 * BATCHES - 1 : 2 * BATCHES]


class WithStates(IterableDataset[Any]):
    """Every batch of a stream with the state of the worker that made it, as torchdata's StatefulDataLoader keeps it."""

    def __init__(self, source: Stream, states: list[dict[str, Any]]) -> None:
        self.source, self.states = source, states

    def __iter__(self) -> Any:
        worker = get_worker_info()
        if self.states:
            self.source.load_state_dict(self.states[worker.id])
        for batch in self.source:
            yield worker.id, batch, self.source.state_dict()


def test_workers_have_states_of_their_own(made: Store, epochs: list[Any]) -> None:
    """Two workers that load their own states go on where each stood, also if one of them is done with the epoch."""
    for given in (2, 3):
        states: list[dict[str, Any]] = [{}, {}]
        options: dict[str, Any] = {"batch_size": None, "num_workers": 2, "multiprocessing_context": "fork"}
        loader = DataLoader(WithStates(stream(made), []), collate_fn=as_it_is, **options)
        for worker, _, state in islice(loader, given):
            states[worker] = state
        again = DataLoader(WithStates(stream(made), states), collate_fn=as_it_is, **options)
        assert sorted(batch for _, batch, _ in again) == sorted(epochs[given:BATCHES])


def as_it_is(batch: Any) -> Any:
    return batch


def test_a_loop_that_was_left_is_continued(made: Store, epochs: list[Any]) -> None:
    """A second loop over the same stream or loader begins behind the last batch of the first."""
    for again in (stream(made), Loader(stream(made))):
        found = [next(iter(again))]
        found.extend(again)
        assert found == epochs[:BATCHES]


def test_the_number_of_processes_can_change(made: Store, epochs: list[Any], tmp_path: Path) -> None:
    """One process begins, two with a worker each go on over the end of the epoch, and one ends: the same batches."""
    alone = stream(made)
    found = [ids(batch) for batch in islice(alone, 2)]
    words = [str(tmp_path / "meeting"), json.dumps(alone.state_dict()), "5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), made.url, str(rank), "2", *words], stdout=subprocess.PIPE, env=environment
        )
        for rank in (0, 1)
    ]
    printed = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    together = json.loads(printed[0])
    alone.load_state_dict(together["state"])
    found += together["batches"] + [ids(batch) for batch in alone]
    assert found == [ids(batch) for batch in epochs[: 2 * BATCHES]]


def test_states_of_other_batches_are_refused(made: Store) -> None:
    """Another query, batch size, seed or window has other batches, so its state is no place in these."""
    state = stream(made).state_dict()
    others = [stream(made, batch_size=5), stream(made, seed=4), stream(made, window=3)]
    others.append(Stream(made.url, "SELECT * FROM labels", batch_size=6, seed=3, window=2))
    for other, name in zip(others, ("batch_size: 6 -> 5", "seed: 3 -> 4", "window: 2 -> 3", "choice: "), strict=True):
        with pytest.raises(StaleSettings, match=name):
            other.load_state_dict(state)


def test_a_stream_makes_its_batches_itself(made: Store) -> None:
    """A batch is a list of samples, or what collate makes of it; a loader takes no batch size of its own."""
    (batch, *_) = stream(made, transform=None, image_as="pil")
    assert len(batch) == 6 and batch[0]["image"].mode == "RGB"
    assert list(stream(made, collate=len)) == [6] * BATCHES
    with pytest.raises(UsageError, match="takes no batch_size"):
        Loader(stream(made), batch_size=2)


def test_a_stream_says_what_it_is(made: Store) -> None:
    """Its text names the images, the masks and the place; its length is that of an epoch."""
    shown = stream(made)
    assert repr(shown).startswith("Stream(21 images with masks of labels, 4 batches of 6, at Position(epoch=0")
    assert repr(Stream(made.url, "SELECT image_id FROM images", batch_size=2)).startswith("Stream(22 images, 11 ")
    assert len(shown) == BATCHES and pickle.loads(pickle.dumps(shown)).position == shown.position


def test_a_frozen_choice_outlives_the_layer_that_is_shown(tmp_path: Path) -> None:
    """A name keeps images, masks and batches, also when the same run is started again on a changed store."""
    store = make_store(tmp_path)
    before = list(stream(store))
    store.files.write("pipeline.json", json.dumps({"current": {}}).encode())
    assert list(stream(store)) == before
    with pytest.raises(UsageError, match="frozen from"):
        stream(store, label="category_id")


def test_an_image_that_is_gone_stops_the_stream(tmp_path: Path) -> None:
    """A picture that cannot be read is an error with its name, and not left out, since batches would shift."""
    store = make_store(tmp_path)
    (tmp_path / "images" / "8.png").unlink()
    with pytest.raises(CorruptData, match=r"8\.png"):
        list(stream(store))


def test_shapes_that_make_no_batches_are_refused(made: Store) -> None:
    """A batch size or a window below one is an error when the stream is made."""
    for options in ({"batch_size": 0}, {"window": 0}, {"rank": 2, "ranks": 2}):
        with pytest.raises(UsageError, match="batches of"):
            stream(made, **options)
