from __future__ import annotations

import json
from typing import Any

import pytest

from pdstore import Catalog, Identity, Layer, Rows, layout
from pdstore.errors import CorruptData
from pdstore.inventory import COMMITS, LAYERS, commit_rows, layer_row, mark_complete, shown_layer, shown_layers
from tests.pdstore.conftest import Place
from tests.pdstore.example import TABLES, filled, new_layer, parts


@pytest.fixture
def layer(place: Place) -> Layer:
    """A layer of two units; unit 1 has five rows and two errors."""
    return filled(place.url, **place.options)


def query(layer: Layer, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = Catalog(layer.store, TABLES, {layer.node: layer.fingerprint}).query(sql).to_pylist()
    return rows


def test_commits_and_layers_are_tables(layer: Layer) -> None:
    """``commits`` has one row per unit with its counts, ``layers`` one row per layer with its state."""
    manifest = layer.manifest(1)
    (row,) = query(layer, "SELECT * FROM commits WHERE unit = 1")
    assert (row["rows"], row["errors"], row["bytes"]) == (5, 2, manifest.size)
    assert (row["attempt"], row["content"], row["host"]) == (manifest.attempt, manifest.content, manifest.host)
    (row,) = query(layer, "SELECT stage, is_current, units, table_name, identity->'settings' AS s FROM layers")
    assert row == {"stage": "grouping", "is_current": True, "units": 2, "table_name": "parts", "s": '{"k":4}'}


def test_rows_of_commits_have_the_declared_columns(layer: Layer) -> None:
    """Every column has a value of its type in every row; the rows are in the order of the units."""
    rows = commit_rows(layer, layer.commits())
    assert rows.schema == COMMITS.arrow_schema
    assert [column.null_count for column in rows.columns] == [0] * len(COMMITS.names)
    assert rows.column("unit").to_pylist() == layer.units()
    assert commit_rows(layer, new_layer(layer.store, k=6).commits()).num_rows == 0


def test_errors_are_not_counted_as_rows(layer: Layer) -> None:
    """``rows`` counts the layer's table and ``errors`` the error rows, which may be none."""
    rows = commit_rows(layer, layer.commits())
    assert rows.column("rows").to_pylist() == [4, 5]
    assert rows.column("errors").to_pylist() == [0, 2]


def test_a_row_of_layers_has_the_declared_columns(layer: Layer) -> None:
    """Every column has a value of its type, also for a layer without units that is not current."""
    row = layer_row(new_layer(layer.store, k=5), units=0, is_current=False)
    assert row.keys() == set(LAYERS.names)
    assert len(Rows.from_records(LAYERS, [row])) == 1
    assert (row["units"], row["is_current"], row["block_size"]) == (0, False, 8)


def test_the_identity_of_a_layer_can_be_read_back(layer: Layer) -> None:
    """Its JSON gives the identity, and so the fingerprint, of the layer."""
    row = layer_row(layer, units=2, is_current=True)
    identity = Identity.from_dict(json.loads(row["identity"]))
    assert identity == layer.info.identity
    assert identity.fingerprint == row["layer"] == layer.fingerprint


def test_layers_of_other_settings_are_listed_too(layer: Layer) -> None:
    """Each layer has a row, and only the one of the pipeline is current."""
    other = new_layer(layer.store, k=5)
    rows = query(layer, "SELECT layer, units, is_current FROM layers ORDER BY units")
    assert [tuple(row.values()) for row in rows] == [(other.fingerprint, 0, False), (layer.fingerprint, 2, True)]


def recorded(layer: Layer, new: Layer) -> None:
    """Record a pipeline whose settings lead to ``new``, after the views have shown ``layer``."""
    values = {"current": {new.node: new.fingerprint}, "shown": {layer.node: layer.fingerprint}}
    layer.store.files.write(layout.PIPELINE, json.dumps(values).encode())


def test_the_former_layer_is_shown_until_the_new_one_has_all_of_it(layer: Layer) -> None:
    """With one of two units the new layer is not shown yet; with both it is, without anything else being written."""
    new = new_layer(layer.store, k=5)
    recorded(layer, new)
    assert shown_layers(layer.store) == {"grouping": layer.fingerprint}
    new.commit(0, parts(4))
    assert shown_layers(layer.store) == {"grouping": layer.fingerprint}
    new.commit(1, parts(4))
    assert shown_layers(layer.store) == {"grouping": new.fingerprint}


def test_the_layer_of_one_node_is_the_one_that_all_are_shown_with(layer: Layer) -> None:
    """Before and after the new layer has all of it; a node that no recorded pipeline has shows nothing."""
    new = new_layer(layer.store, k=5)
    assert shown_layer(layer.store, "grouping") is None
    recorded(layer, new)
    assert shown_layer(layer.store, "grouping") == layer.fingerprint
    new.commit(0, parts(4))
    new.commit(1, parts(4))
    assert shown_layer(layer.store, "grouping") == new.fingerprint
    assert shown_layer(layer.store, "crf") is None


def test_a_layer_that_was_complete_stays_shown(layer: Layer) -> None:
    """Once it is noted as complete, a unit that is taken back does not bring the former layer back; before, it does."""
    new = new_layer(layer.store, k=5)
    recorded(layer, new)
    new.commit(0, parts(4))
    mark_complete(new, 2)
    assert shown_layers(layer.store) == {"grouping": layer.fingerprint}
    new.commit(1, parts(4))
    mark_complete(new, 2)
    new.withdraw(1)
    assert shown_layers(layer.store) == {"grouping": new.fingerprint}


def test_a_manifest_that_is_lost_does_not_change_what_is_shown(layer: Layer) -> None:
    """The new layer has all that is left of the former one, but not all that it had: reading that says what is lost."""
    new = new_layer(layer.store, k=5)
    recorded(layer, new)
    mark_complete(layer, 2)
    new.commit(0, parts(4))
    layer.store.files.remove(layout.commit("grouping", layer.fingerprint, 1))
    assert layer.kept_units() == [0, 1] and layer.listed_units() == [0]
    assert shown_layers(layer.store) == {"grouping": layer.fingerprint}
    with pytest.raises(CorruptData, match="the manifest is missing"):
        query(layer, "SELECT count(*) FROM parts")
    layer.store.files.write(layout.withdrawn("grouping", layer.fingerprint, 1, "a"), b"")
    assert layer.kept_units() == [0] and shown_layers(layer.store) == {"grouping": new.fingerprint}


def test_a_former_layer_that_is_gone_is_not_shown(layer: Layer) -> None:
    """Without it there is nothing to keep showing; and a store of an earlier program names no former layer."""
    new = new_layer(layer.store, k=5)
    recorded(layer, new)
    for unit in layer.units():
        layer.withdraw(unit)
    assert shown_layers(layer.store) == {"grouping": new.fingerprint}
    layer.store.files.write(layout.PIPELINE, json.dumps({"current": {"grouping": "abc"}}).encode())
    assert shown_layers(layer.store) == {"grouping": "abc"}
    mark_complete(new, 0)
    assert not layer.store.files.exists(layout.complete("grouping", new.fingerprint))
