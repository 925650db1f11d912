from __future__ import annotations

import pytest

from pdstore import layout
from pdstore.errors import CorruptData
from pdstore.inventory import mark_complete
from pdstore.records.completion import _units_of, check_complete, completion_problem, lost_units, write_complete
from pdstore.store import Layer
from pdstore.verify import repair, verify
from tests.pdstore.example import filled, parts


@pytest.fixture
def layer(tmp_path: object) -> Layer:
    """A layer with two units, which is noted as complete."""
    made = filled(str(tmp_path))
    mark_complete(made, 2)
    return made


def test_only_names_of_manifests_are_units() -> None:
    """Whatever lies beside them, and in whatever order."""
    names = ["00002.json", "00000.json", "00013.json"]
    assert _units_of(names) == {0, 2, 13} and _units_of([]) == set()
    assert _units_of([*names, ".nfs7", "7"]) == _units_of(["._00001.json", *names]) == {0, 2, 13}
    assert _units_of([".DS_Store", *names]) == {0, 2, 13}


def test_a_lost_manifest_is_an_error_and_not_a_missing_row(layer: Layer) -> None:
    """Readers name it; verify does, too, and repairs it, after which the unit can be computed again."""
    layer.store.files.remove(layout.commit(layer.node, layer.fingerprint, 1))
    for read in (layer.units, layer.commits):
        with pytest.raises(CorruptData, match="commits/00001.json: the manifest is missing.*pd verify --repair"):
            read()
    damage = [item for item in verify(layer.store) if item is not None]
    assert [(item.unit, item.problem) for item in damage] == [(1, "missing")]
    assert repair(layer.store, damage[0])
    assert layer.units() == [0] and [item for item in verify(layer.store) if item is not None] == []
    layer.commit(1, parts(4))
    assert layer.units() == [0, 1]


def test_a_unit_that_was_withdrawn_is_not_lost(layer: Layer) -> None:
    """It left a record of its withdrawal."""
    layer.withdraw(1)
    assert layer.units() == [0] and lost_units(layer.store.files, layer.node, layer.fingerprint, [0]) == []


def test_a_layer_that_never_was_complete_may_lack_units(tmp_path: object) -> None:
    """Nothing says how many it should have."""
    made = filled(str(tmp_path))
    assert check_complete(made.store.files, made.node, made.fingerprint, [0]) is None
    made.store.files.write(layout.complete(made.node, made.fingerprint), b'{"units": 2}')
    assert check_complete(made.store.files, made.node, made.fingerprint, [0, 1]) == 2


def test_a_unit_that_was_committed_since_the_listing_is_not_lost(tmp_path: object) -> None:
    """Another worker may commit the last unit, and note that all are there, while this one still has an older list."""
    made = filled(str(tmp_path))
    write_complete(made.store.files, made.node, made.fingerprint, 2)
    assert check_complete(made.store.files, made.node, made.fingerprint, [0]) == 2
    assert lost_units(made.store.files, made.node, made.fingerprint, [0]) == []


def test_a_layer_that_was_deleted_and_begun_again_is_not_damage(tmp_path: object) -> None:
    """A store that knew it to be complete looks for the note again before it says that units were lost."""
    made = filled(str(tmp_path))
    write_complete(made.store.files, made.node, made.fingerprint, 2)
    assert check_complete(made.store.files, made.node, made.fingerprint, [0, 1]) == 2
    made.store.files.remove(layout.complete(made.node, made.fingerprint))
    made.store.files.remove(layout.commit(made.node, made.fingerprint, 1))
    assert check_complete(made.store.files, made.node, made.fingerprint, [0], known=2) is None


def test_a_damaged_note_is_named_and_hinders_nobody(layer: Layer) -> None:
    """No result depends on it: verify names it, and its repair removes it. So does that of another layer."""
    files, path = layer.store.files, layout.complete(layer.node, layer.fingerprint)
    write_complete(files, "other", "1234", 9)
    for data in (b"{", files.read(layout.complete("other", "1234"))):
        files.write(path, data)
        assert layer.units() == [0, 1]
        assert "not a record" in completion_problem(files, layer.node, layer.fingerprint)
    files.remove_tree(layout.layers("other"))
    damage = [item for item in verify(layer.store) if item is not None]
    assert [item.file for item in damage] == [path] and repair(layer.store, damage[0])
    assert not files.exists(path)
