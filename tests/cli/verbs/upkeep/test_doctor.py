"""``pd doctor``: its table, its JSON, its one sentence and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Pd, committed


def test_outside_a_store_the_machine_is_checked(pd: Pd) -> None:
    """Exit code 0, one line per check, and a sentence at the end."""
    found = pd("doctor")
    assert found.code == 0, found
    assert "GPU" in found.out and "torch" in found.out and "storage" not in found.out
    assert found.err.splitlines()[-1].startswith("All ")


def test_a_sound_store_passes_and_is_left_as_it_was(pd: Pd, store: Path) -> None:
    """Every group is there once as JSON; nothing is committed, and no file is left."""
    before, names = committed(store), sorted(path.name for path in store.iterdir())
    found = pd("doctor", "--json")
    assert found.code == 0, found
    values = json.loads(found.out)
    groups = list(dict.fromkeys(finding["group"] for finding in values["findings"]))
    assert groups == ["programs", "machine", "storage", "images", "networks"]
    assert values["counts"]["fails"] == 0 and values["counts"]["ok"] == len(values["findings"])
    assert committed(store) == before and sorted(path.name for path in store.iterdir()) == names


def test_a_rehearsal_is_part_of_it_if_asked_for(pd: Pd, store: Path) -> None:
    """With hours for this store and memory; nothing of it is kept."""
    before = committed(store)
    found = pd("doctor", "--rehearse", "--json")
    lines = [f for f in json.loads(found.out)["findings"] if f["group"] == "rehearsal"]
    crf = next(line["found"] for line in lines if line["checked"] == "crf")
    assert found.code == 0 and "rehearsal of 2 images" in crf and "h for the 6 images of this store" in crf
    assert "at most" in crf and committed(store) == before


def test_what_will_not_work_is_said_in_one_sentence(pd: Pd, store: Path, photos: Path) -> None:
    """Exit code 1; the table is printed all the same, with what to do."""
    photos.rename(photos.with_name("elsewhere"))
    found = pd("doctor")
    assert found.code == 1 and "Is the disk mounted?" in found.out
    assert found.err.splitlines()[-1] == f"error: will not work: folder ({photos} is not there)."


@pytest.mark.parametrize("name", ["nothing", "photos"])
def test_a_store_that_is_none_fails(pd: Pd, tmp_path: Path, photos: Path, name: str) -> None:
    """The machine is checked all the same."""
    found = pd("--store", tmp_path / name, "doctor")
    assert found.code == 1 and "GPU" in found.out and found.err.count("error: ") == 1
    assert "will not work: store (" in found.err
