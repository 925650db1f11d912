from __future__ import annotations

from pathlib import Path

import pytest

from pdstore import Store, StoreInfo, layout
from stages.training_place import TrainingPlace


def place_in(url: str) -> TrainingPlace:
    return TrainingPlace(Store.create(url, StoreInfo(4, 0, {"root": ""})), "distill-train", "0123456789abcdef")


def test_a_training_remembers_what_it_began_with(tmp_path: Path) -> None:
    """As long as its selection exists, its input is the input that the selection was frozen from."""
    place = place_in(str(tmp_path / "store"))
    assert place.frozen_inputs({"parts": "two blocks"}) == {"parts": "two blocks"}
    assert place.frozen_inputs({"parts": "three"}) == {"parts": "three"}
    place.store.files.write(layout.selection(place.selection), b"frozen")
    assert place.frozen_inputs({"parts": "four"}) == {"parts": "three"}


@pytest.mark.parametrize("where", ["local", "remote"])
def test_a_forgotten_training_leaves_nothing_to_go_on_from(where: str, tmp_path: Path) -> None:
    """Checkpoints and selections are removed, also those that a remote store keeps on this machine."""
    place = place_in(str(tmp_path / "store") if where == "local" else f"memory://{tmp_path.name}")
    assert not place.is_begun
    place.folder.mkdir(parents=True)
    (place.folder / "step_00000004.pt").write_bytes(b"weights")
    place.frozen_inputs({"parts": "two blocks"})
    for selection in (place.selection, place.held_out):
        place.store.files.write(layout.selection(selection), b"frozen")
    assert place.is_begun
    place.forget()
    assert not place.is_begun and place.store.files.names("selections") == []
    place.forget()


def test_two_trainings_share_nothing(tmp_path: Path) -> None:
    """Other settings lead to another folder and to other selections, and so does another node."""
    first = place_in(str(tmp_path / "store"))
    others = [
        TrainingPlace(first.store, "distill-train", "fedcba9876543210"),
        TrainingPlace(first.store, "proposal-train", first.fingerprint),
    ]
    names = [name for place in (first, *others) for name in (place.selection, place.held_out, str(place.folder))]
    assert len(set(names)) == 9
