from __future__ import annotations

import io
from pathlib import Path

import pytest

from pdstore import layout
from pdstore.files import Files
from pdstore.records.check import file_problems, repair_file, uncovered_files
from pdstore.records.digests import keep_digest, write_with_digest
from pdstore.records.sealed import seal

CHECKPOINT = "checkpoints/train/0123/checkpoints/step_00000001.pt"
LOG = "checkpoints/train/0123/log.jsonl"
PLAIN = [layout.CLASSES, layout.listing(0), layout.selection("mine"), CHECKPOINT]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A store's files of each kind, all with digests."""
    made = Files(str(tmp_path))
    for path in PLAIN:
        write_with_digest(made, path, path.encode())
    made.write(LOG, b'{"step": 1}\n')
    keep_digest(made, LOG, io.BytesIO(made.read(LOG)))
    for path in (layout.STORE, layout.selection_inputs("mine")):
        made.write(path, seal({"a": 1}))
    return made


def test_sound_files_are_covered(files: Files) -> None:
    """Nothing is wrong, nothing is left out, and a log may have grown."""
    files.write(LOG, files.read(LOG) + b'{"step": 2}\n')
    assert list(file_problems(files)) == [] and uncovered_files(files) == []


@pytest.mark.parametrize("path", [*PLAIN, LOG])
def test_damage_and_loss_are_named(files: Files, path: str) -> None:
    """A file that was changed, and one that is gone."""
    files.write(path, b"other")
    assert [name for name, _ in file_problems(files)] == [path]
    files.remove(path)
    assert list(file_problems(files)) == [(path, "missing")]


def test_a_damaged_record_is_named(files: Files) -> None:
    """JSON is read, and so are the digests themselves."""
    records = [layout.STORE, layout.selection_inputs("mine"), layout.digest(layout.CLASSES)]
    for path in records:
        files.write(path, files.read(path).replace(b"1", b"2"))
    assert sorted(name for name, _ in file_problems(files)) == sorted(records)


def test_the_lost_inputs_of_a_training_are_named(files: Files) -> None:
    """They are written before its selection; what it is validated on, and what a person froze, has none."""
    name = layout.training_selection("train", "0123")
    for selection in (name, layout.training_selection("train", "0123", is_held_out=True)):
        write_with_digest(files, layout.selection(selection), b"ids")
    files.write(layout.selection_inputs(name), seal({"a": 1}))
    files.remove(layout.selection_inputs("mine"))
    assert list(file_problems(files)) == []
    files.remove(layout.selection_inputs(name))
    assert list(file_problems(files)) == [(layout.selection_inputs(name), "missing")]


def test_files_of_an_earlier_release_are_listed(files: Files) -> None:
    """They have no digest, so nothing can be said of them."""
    for path in [*PLAIN, LOG]:
        files.remove(layout.digest(path))
    files.write(layout.STORE, b'{"a": 1}')
    assert uncovered_files(files) == [
        layout.CLASSES,
        layout.STORE,
        layout.listing(0),
        layout.selection("mine"),
        *sorted([CHECKPOINT, LOG]),
    ]
    assert list(file_problems(files)) == []


def test_only_what_loses_nothing_is_repaired(files: Files) -> None:
    """A checkpoint and a damaged digest are removed; a listing has to be restored by hand."""
    assert repair_file(files, CHECKPOINT) and not files.exists(CHECKPOINT)
    assert repair_file(files, layout.digest(layout.CLASSES)) and not files.exists(layout.digest(layout.CLASSES))
    assert not repair_file(files, layout.listing(0)) and files.exists(layout.listing(0))
    assert list(file_problems(files)) == []
