"""Masks and vectors in SQL, wherever the store is and wherever its rows are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import numpy as np
import pytest

from pdstore import Catalog, Column, Layer, masks
from pdstore.errors import CorruptData
from pdstore.inventory import LayerCommits
from pdstore.sql.views import no_rows, table_views
from tests.pdstore.conftest import Place
from tests.pdstore.example import PARTS, SIZE, TABLES, drawn, filled, new_layer, new_store, parts


def query(layer: Layer, sql: str) -> list[dict[str, Any]]:
    catalog = Catalog(layer.store, TABLES, {layer.node: layer.fingerprint})
    rows: list[dict[str, Any]] = catalog.query(sql).to_pylist()
    return rows


def expected(*units: int) -> dict[int, tuple[bytes, list[float]]]:
    """image_id -> (mask, vector) of the units of ``filled``."""
    found = {}
    for unit in units:
        rows = parts(4 + unit, seed=unit)
        values = zip(rows["image_id"].tolist(), rows.ragged("rle"), rows["feature"].astype(np.float32), strict=True)
        found |= {image_id: (rle, feature.tolist()) for image_id, rle, feature in values}
    return found


def found(layer: Layer, sql: str) -> dict[int, tuple[bytes, list[float]]]:
    return {row["image_id"]: (row["rle"], row["feature"]) for row in query(layer, sql)}


class TestContract:
    """Columns of masks and vectors, in each kind of place."""

    @pytest.fixture
    def layer(self, place: Place) -> Layer:
        return filled(place.url, (0, 1, 2), **place.options)

    def test_each_row_has_its_own(self, layer: Layer) -> None:
        """Also after the rows were gathered, and when a unit of those was computed again."""
        sql = "SELECT image_id, rle, feature FROM parts"
        assert found(layer, sql) == expected(0, 1, 2)
        layer.compact(everything=True)
        assert found(layer, sql) == expected(0, 1, 2)
        layer.withdraw(1)
        assert found(layer, sql) == expected(0, 2)
        layer.commit(1, parts(8, seed=4))
        assert found(layer, sql) == {**expected(0, 2), **expected(4)}


@pytest.fixture
def layer(tmp_path: Any) -> Layer:
    return filled(str(tmp_path / "store"))


def test_rows_that_are_chosen_have_their_own(layer: Layer) -> None:
    """Conditions, orders and joins do not mix rows up."""
    layer.compact(everything=True)
    layer.commit(3, parts(7, seed=3))
    every = expected(0, 1, 2, 3)
    for rest in ("WHERE score > 0.5", "ORDER BY score DESC LIMIT 5", "WHERE image_id IN (302, 1, 104)"):
        rows = found(layer, f"SELECT image_id, rle, feature FROM parts {rest}")
        assert rows and rows == {image_id: every[image_id] for image_id in rows}
    sql = "SELECT a.image_id, b.rle, a.feature FROM parts a JOIN parts b USING (image_id) WHERE a.score < 0.6"
    rows = found(layer, sql)
    assert rows and rows == {image_id: every[image_id] for image_id in rows}


def test_a_star_is_as_it_was(layer: Layer) -> None:
    """``SELECT *`` has the scalars, before and after a column of masks that is named."""
    plain = list(query(layer, "SELECT * FROM parts LIMIT 1")[0])
    assert not {"rle", "feature"} & set(plain)
    assert list(query(layer, "SELECT *, rle FROM parts LIMIT 1")[0]) == [*plain, "rle"]


def test_what_is_not_named_is_not_read(layer: Layer) -> None:
    """With damaged masks, every query that names no mask still answers; one that does names the file."""
    before = query(layer, "SELECT * FROM parts ORDER BY image_id")
    for path in layer.store.files.fs.find(layer.store.url):
        if "/data.zarr/rle/c" in path:
            layer.store.files.fs.pipe_file(path, b"damage")
    assert query(layer, "SELECT * FROM parts ORDER BY image_id") == before
    assert len(query(layer, "SELECT image_id, feature FROM parts")) == len(before)
    assert query(layer, "SELECT count(*) AS n FROM (SELECT *, rle FROM parts)") == [{"n": len(before)}]
    with pytest.raises(CorruptData, match="grouping unit"):
        query(layer, "SELECT rle FROM parts")


def test_only_the_units_of_the_chosen_rows_are_read(layer: Layer) -> None:
    """A condition on scalars is applied before a mask is read."""
    folder = layer.manifest(1).folder
    for path in layer.store.files.fs.find(layer.store.files.full(folder)):
        if "data.zarr" in path:
            layer.store.files.fs.rm_file(path)
    assert len(query(layer, "SELECT rle FROM parts WHERE image_id < 100")) == 4
    with pytest.raises(CorruptData, match="a committed file is missing"):
        query(layer, "SELECT rle FROM parts WHERE image_id >= 100")


def test_a_description_lists_every_column(layer: Layer) -> None:
    """DESCRIBE says the types of masks and vectors, too."""
    rows = query(layer, "SELECT column_name, column_type FROM (DESCRIBE parts)")
    types = {row["column_name"]: row["column_type"] for row in rows}
    assert types["rle"] == "BLOB" and types["feature"] == "FLOAT[]" and types["score"] == "FLOAT"
    assert {row["column_name"] for row in query(layer, "DESCRIBE parts")} == set(types)


def test_any_path_will_do(tmp_path: Any) -> None:
    """DuckDB reads patterns and quotes in paths; the rows of a file are found all the same."""
    layer = filled(str(tmp_path / "it's [1] é?"))
    for _ in range(2):
        assert found(layer, "SELECT image_id, rle, feature FROM parts") == expected(0, 1)
        layer.compact(everything=True)


def test_older_layers_have_theirs(layer: Layer) -> None:
    """``parts_all`` has the masks of every layer, each of its own."""
    new_layer(layer.store, k=5).commit(0, parts(3, seed=7))
    rows = query(layer, "SELECT layer, rle FROM parts_all")
    other = [row["rle"] for row in rows if row["layer"] != layer.fingerprint]
    assert other == list(parts(3, seed=7).ragged("rle")) and len(rows) == 12


def test_a_table_without_layers_has_the_columns(tmp_path: Any) -> None:
    """They have their types and no rows."""
    catalog = Catalog(new_store(str(tmp_path / "store")), TABLES, {})
    schema = catalog.query("SELECT rle, feature FROM parts").schema
    assert [str(kind) for kind in schema.types[:1]] == ["binary"] and "float" in str(schema.types[1])


def test_functions_of_masks_are_known(layer: Layer) -> None:
    """A query may use them in a condition, with the frame of the masks."""
    height, width = SIZE
    rows = query(layer, f"SELECT image_id, mask_area(rle, {height}, {width}) AS n FROM parts WHERE n > 40")
    areas = np.concatenate([drawn(4), drawn(5, seed=1)]).sum((1, 2))
    assert sorted(row["n"] for row in rows) == sorted(areas[areas > 40].tolist())
    assert masks.area(parts(4).ragged("rle"), *SIZE).tolist() == areas[:4].tolist()


def test_views_are_made_of_what_is_committed(layer: Layer) -> None:
    """A table nobody has written has views without rows."""
    assert table_views(layer.store.files, PARTS, []) == dict.fromkeys(
        ("parts", "parts_all"), no_rows(PARTS.scalars, ("node", "layer"))
    )


def test_a_view_has_the_declared_columns_whatever_a_layer_has(layer: Layer) -> None:
    """Layers that have them all are joined as they are; where one lacks a column, it is NULL there."""
    entry = LayerCommits(layer, layer.commits(), is_current=True)
    body = table_views(layer.store.files, PARTS, [entry])["parts"]
    assert "BY NAME" not in body
    more = replace(PARTS, columns=(*PARTS.columns, Column("later", "int64", "a column of a later release")))
    wider = table_views(layer.store.files, more, [entry])["parts"]
    for sql, names in ((body, PARTS.scalars), (wider, more.scalars)):
        found = duckdb.sql(sql).to_arrow_table()
        assert found.column_names == ["node", "layer", *(column.name for column in names)]
        assert len(found) == len(query(layer, "FROM parts"))
    assert set(duckdb.sql(wider).to_arrow_table().column("later").to_pylist()) == {None}
