from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pdstore import Store, layout
from pdstore.errors import CorruptData, InputMissing, PdError, UsageError
from pdstore.files import Files
from pdstore.records.states import (
    PipelineState,
    add_removed,
    add_state,
    chosen_state,
    newest_state,
    read_state,
    restore_copy,
    restore_state,
    state_numbers,
    state_problems,
)
from tests.pdstore.example import new_store


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "states"))


def state(k: int) -> PipelineState:
    return PipelineState({"grouping": f"layer{k}"}, spec={"nodes": {}}, overrides={"grouping": {"k": k}})


def three(files: Files) -> list[PipelineState]:
    made: list[PipelineState] = []
    for k in range(3):
        made.append(add_state(files, state(k), made[-1] if made else None))
    return made


def test_states_are_numbered_and_follow_each_other(files: Files) -> None:
    """Each has the digest of the one before, a time and an author; the newest is also in ``pipeline.json``."""
    made = three(files)
    assert state_numbers(files) == [0, 1, 2] and newest_state(files) == made[2] == read_state(files, 2)
    assert [s.before for s in made] == ["", made[0].digest, made[1].digest]
    assert made[0].created <= made[1].created and "@" in made[0].who
    assert json.loads(files.read(layout.PIPELINE))["current"] == {"grouping": "layer2"}
    assert state_problems(files) == [] and newest_state(Files(files.url + "other")) is None


def test_of_two_changes_at_once_one_wins_and_the_other_is_told(files: Files) -> None:
    """The same change by two workers is one; one that changes nothing records nothing."""
    base = add_state(files, state(0), None)
    won = add_state(files, state(1), base)
    with pytest.raises(PdError, match=r"has changed the pipeline in the meantime \(state 1\); nothing was recorded"):
        add_state(files, state(2), base)
    assert add_state(files, state(1), base) == won == add_state(files, state(1), won)
    assert state_numbers(files) == [0, 1]


def test_the_one_record_of_an_earlier_release_is_state_0(files: Files) -> None:
    """It is read as it is, and becomes the first record once there is a second."""
    old = {"current": {"grouping": "old"}, "spec": {}, "overrides": {}}
    files.write(layout.PIPELINE, json.dumps(old).encode())
    base = newest_state(files)
    assert base is not None and (base.number, base.current) == (0, {"grouping": "old"}) == (
        0,
        read_state(files, 0).current,
    )
    new = add_state(files, state(1), base)
    assert (new.number, new.before) == (1, base.digest)
    assert read_state(files, 0).current == {"grouping": "old"} and state_problems(files) == []


def test_a_lost_or_damaged_state_is_never_answered_from_an_older_one(files: Files) -> None:
    """The newest is restored from its copy, the copy from the newest; a former one can only be named."""
    three(files)
    path = layout.pipeline(2)
    for damage in (lambda: files.remove(path), lambda: files.write(path, files.read(layout.pipeline(1)))):
        damage()
        with pytest.raises(CorruptData, match="000002.json: .*pd verify --repair"):
            newest_state(files)
        assert [name for name, _ in state_problems(files)] == [path]
        assert restore_state(files, 2) and state_problems(files) == []
    files.write(layout.PIPELINE, b"{")
    assert newest_state(files) == read_state(files, 2)
    assert restore_copy(files) and json.loads(files.read(layout.PIPELINE))["number"] == 2
    files.remove(layout.pipeline(1))
    assert newest_state(files) == read_state(files, 2) and state_problems(files) == [(layout.pipeline(1), "missing")]
    assert not restore_state(files, 1)


def test_a_state_is_chosen_by_number_or_by_time(files: Files) -> None:
    """An integer is a number, a float a time; what does not exist is a UsageError."""
    made = three(files)
    assert chosen_state(files, 1) == made[1] and chosen_state(files) == made[2] == chosen_state(files, made[2].created)
    assert chosen_state(files, made[2].created + 5.0) == made[2]
    for wrong in (3, made[0].created - 5.0):
        with pytest.raises(UsageError, match="pd config log"):
            chosen_state(files, wrong)


def test_a_snapshot_stays_what_it_was_and_names_a_layer_that_is_gone(tmp_path: Path) -> None:
    """A later change is not seen by it; of a state whose layer was deleted there is none."""
    store = new_store(str(tmp_path / "store"))
    made = three(store.files)
    snapshot = store.snapshot(1)
    add_state(store.files, replace(state(1), current={"grouping": "layer9"}), made[2])
    assert snapshot.current() == {"grouping": "layer1"} and Store(store.url).current() == {"grouping": "layer9"}
    add_removed(store.files, "grouping", "layer0")
    with pytest.raises(InputMissing, match="state 0 of the pipeline shows layer layer0 of grouping, which was deleted"):
        store.snapshot(0)
    assert store.snapshot(1).current() == {"grouping": "layer1"} and store.current() == {"grouping": "layer9"}
