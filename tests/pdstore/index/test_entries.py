from __future__ import annotations

from pathlib import Path

from pdstore import layout
from pdstore.index.entries import INPUT, Entry, entry_table, joined
from tests.pdstore.example import errors, filled, parts


def test_an_entry_is_its_manifest_without_the_files(tmp_path: Path) -> None:
    """Counts, digests, times and inputs are those of the manifest; whether there are rows and errors is kept."""
    layer = filled(str(tmp_path))
    made = layer.commit(2, parts(0), errors=errors(3), inputs={"images": "ab", "objects": "cd,ef"})
    entry = Entry.of(made)
    assert (entry.unit, entry.rows, entry.errors, entry.bytes) == (2, 0, 3, made.size)
    assert (entry.content, entry.attempt, entry.created) == (made.content, made.attempt, made.created)
    assert made.folder == f"{layout.attempts(layer.node, layer.fingerprint)}/{entry.name}"
    assert entry.has_rows and entry.has_errors and entry.inputs == made.inputs
    assert not Entry.of(layer.manifest(0)).has_errors


def test_a_table_has_a_column_for_each_role(tmp_path: Path) -> None:
    """A role that a unit did not read is null there, also where tables without it are joined."""
    layer = filled(str(tmp_path), units=[])
    one = Entry.of(layer.commit(0, parts(1), inputs={"images": "a"}))
    two = Entry.of(layer.commit(1, parts(2), inputs={"objects": "b"}))
    for table in (entry_table([one, two]), joined([entry_table([one]), entry_table([two])])):
        assert table.column("unit").to_pylist() == [0, 1]
        assert table.column(f"{INPUT}images").to_pylist() == ["a", None]
        assert table.column(f"{INPUT}objects").to_pylist() == [None, "b"]
    assert joined([]).num_rows == entry_table([]).num_rows == 0
