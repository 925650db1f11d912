from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdstore import Identity, Rows, Store, StoreInfo, layout
from schemas import tables
from schemas.catalog import catalog_of
from schemas.monitors import MONITORS
from schemas.tables import TABLES

LABEL = {
    "image_id": 0,
    "object_id": 0,
    "label_id": 0,
    "category_id": 0,
    "cluster": 3,
    "score": 0.5,
    "object_ratio": 0.25,
    "area": 4,
    "height": 4,
    "width": 4,
    "rle": b"",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose pipeline leads to a layer of one label; an older layer has two."""
    store = Store.create(str(tmp_path), StoreInfo(2, 0, {}))
    for version, count in ((1, 2), (2, 1)):
        layer = store.declare("labels", Identity("labels", version), tables.LABELS, "test")
        layer.commit(0, Rows.from_records(tables.LABELS, [LABEL] * count))
    store.files.write(layout.PIPELINE, json.dumps({"current": {"labels": layer.fingerprint}}).encode())
    return store


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    """A store in which nothing was computed and no pipeline is recorded."""
    return Store.create(str(tmp_path / "empty"), StoreInfo(2, 0, {}))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_a_view_with_its_scalars(empty: Store, name: str) -> None:
    """The view exists before anything is computed; vectors and ragged columns are not in it."""
    columns = [] if name == "classes" else ["node", "layer"]
    view = catalog_of(empty).query(f"SELECT * FROM {name}")
    assert view.column_names == columns + [column.name for column in TABLES[name].scalars]
    assert view.num_rows == 0


@pytest.mark.parametrize("name", MONITORS)
def test_every_monitor_is_a_view(empty: Store, name: str) -> None:
    """It has the declared columns."""
    view = catalog_of(empty).query(f"SELECT * FROM {name}")
    assert view.column_names == [column.name for column in MONITORS[name].columns]


def test_the_recorded_pipeline_decides_what_is_current(store: Store) -> None:
    """``labels`` and the monitors read the pipeline's layer, ``labels_all`` every layer."""
    count = "SELECT count(*) AS n FROM"
    assert catalog_of(store).query(f"{count} labels").to_pylist() == [{"n": 1}]
    assert catalog_of(store).query(f"{count} labels_all").to_pylist() == [{"n": 3}]
    assert catalog_of(store).query("SELECT cluster, masks FROM cluster_use").to_pylist() == [{"cluster": 3, "masks": 1}]


def test_without_a_pipeline_nothing_is_current(store: Store) -> None:
    """The views are empty, but ``labels_all`` still has the committed rows."""
    store.files.remove(layout.PIPELINE)
    assert catalog_of(store).query("FROM labels").num_rows == 0
    assert catalog_of(store).query("FROM labels_all").num_rows == 3


def test_all_readers_share_one_catalog(store: Store) -> None:
    """A second reader does not rebuild the file of the first, whatever it queries."""
    assert catalog_of(store).query("SELECT * FROM coverage").num_rows == 0
    before = Path(store.url, "catalog.duckdb").stat()
    catalog_of(store).query("SELECT * FROM parts")
    after = Path(store.url, "catalog.duckdb").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
