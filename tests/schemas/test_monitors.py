"""The monitors, on a store of four images of 4 x 4 pixels with numbers that were counted by hand."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdstore import Catalog, Identity, Rows, Store, StoreInfo, Table, layout
from pdstore.blockfile import parquet_bytes
from schemas import tables
from schemas.monitors import MONITORS

SQL_TYPES = {"int64": "BIGINT", "int32": "INTEGER", "float32": "FLOAT", "float64": "DOUBLE", "string": "VARCHAR"}
BLANK: dict[str, Any] = {"string": "", "scalar": 0, "ragged": b"", "vector": np.zeros(2)}
NAN = float("nan")


class Bench:
    """A store with layers of hand-made rows; columns that are not given are blank."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.create(str(folder), StoreInfo(2, 0, {}))
        self.current: dict[str, str] = {}
        classes = Rows.from_records(
            tables.CLASSES, [{"class_id": n, "wnid": name, "class_name": name} for n, name in enumerate(("cat", "dog"))]
        )
        self.store.files.write(layout.CLASSES, parquet_bytes(classes.to_arrow()))

    def put(
        self,
        node: str,
        table: Table,
        units: dict[int, list[dict[str, Any]]],
        refused: dict[int, list[dict[str, Any]]] | None = None,
        **upstream: str,
    ) -> None:
        sources = {role: ",".join(self.current[n] for n in names.split(",")) for role, names in upstream.items()}
        layer = self.store.declare(node, Identity(node, 1, {}, {}, sources), table, "test")
        self.current[node] = layer.fingerprint
        for unit, records in units.items():
            faults = [_filled(tables.ERRORS, r) for r in (refused or {}).get(unit, [])]
            layer.commit(
                unit,
                Rows.from_records(table, [_filled(table, r) for r in records]),
                errors=Rows.from_records(tables.ERRORS, faults) if faults else None,
            )

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        catalog = Catalog(self.store, tables.TABLES.values(), self.current, MONITORS.values())
        return [tuple(row.values()) for row in catalog.query(sql).to_pylist()]


def _filled(table: Table, record: dict[str, Any]) -> dict[str, Any]:
    blank = {c.name: BLANK["string" if c.dtype == "string" else c.layout] for c in table.columns}
    return blank | {"height": 4, "width": 4} | record if "height" in blank else blank | record


def mask(image: int, number: int = 0, area: int = 4, **columns: Any) -> dict[str, Any]:
    return {"image_id": image, "object_id": number, "area": area, "score": 0.5, **columns}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Images 0 to 3 in two blocks: 3 has no object, 2 cannot be grouped, and block 1 has no CRF yet."""
    bench = Bench(tmp_path / "store")
    bench.put("ingest", tables.IMAGES, {0: [{"image_id": 0}, {"image_id": 1}], 1: [{"image_id": 2}, {"image_id": 3}]})
    objects = {0: [mask(0, area=16), mask(0, 1), mask(1, category_id=1)], 1: [mask(2, area=1, score=1.0)]}
    bench.put("detic", tables.OBJECTS, objects, images="ingest")
    few = {"image_id": 2, "subject": "2.png", "reason": "too_few_points", "detail": "expected 2, found 1"}
    parts = [mask(i, part_id=n, category_id=i, changed=NAN) for i, n in ((0, 0), (0, 1), (1, 0), (1, 1))]
    bench.put("grouping", tables.PARTS, {0: parts, 1: []}, {1: [few]}, images="ingest", objects="detic")
    smooth = [
        mask(0, part_id=0, area=6, changed=0.5),
        mask(0, part_id=1, area=2, changed=0.0),
        mask(1, part_id=0, area=8, changed=0.75, category_id=1),
    ]
    bench.put("crf", tables.PARTS, {0: smooth}, parts="grouping")
    return bench


def test_every_view_is_as_it_is_declared(bench: Bench) -> None:
    """Columns and types of each view are those of its declaration, even over an empty store."""
    empty = Catalog(bench.store, tables.TABLES.values(), {}, MONITORS.values())
    for name, view in MONITORS.items():
        declared = [(c.name, SQL_TYPES[c.dtype]) for c in view.columns]
        assert [row[:2] for row in bench.ask(f"DESCRIBE {name}")] == declared, name
        assert empty.query(f"SELECT * FROM {name}").num_rows == 0
        assert view.doc.endswith(".") and all(c.doc for c in view.columns)


def test_parts_per_object(bench: Bench) -> None:
    """Objects are counted by node, class and number of parts; crf left the dog one part."""
    assert bench.ask("FROM parts_per_object") == [
        ("crf", 0, "cat", 2, 1),
        ("crf", 1, "dog", 1, 1),
        ("grouping", 0, "cat", 2, 1),
        ("grouping", 1, "dog", 2, 1),
    ]


def test_histograms(bench: Bench) -> None:
    """Scores are in steps of 0.05, the last of which includes 1; areas in halvings, closed at the upper end."""
    assert bench.ask("SELECT * FROM score_histogram WHERE node = 'detic'") == [
        ("detic", 0.5, 0.55, 3),
        ("detic", 0.95, 1.0, 1),
    ]
    assert bench.ask("SELECT * FROM area_histogram WHERE node = 'detic'") == [
        ("detic", 1 / 32, 1 / 16, 1),
        ("detic", 1 / 8, 1 / 4, 2),
        ("detic", 1 / 2, 1.0, 1),
    ]


def test_what_the_crf_changed(bench: Bench) -> None:
    """The share is one of pixels, not of parts; nodes without a CRF have no row."""
    assert bench.ask("FROM crf_changes") == [
        ("crf", 0, "cat", 2, pytest.approx(3 / 8), 1, 0),
        ("crf", 1, "dog", 1, pytest.approx(0.75), 0, 1),
    ]


def test_what_reaches_each_node(bench: Bench) -> None:
    """Only committed blocks count; a dropped image has no row and may have a reason."""
    assert bench.ask("FROM coverage") == [
        ("crf", "parts", "grouping", 2, 2, 0, 0, 2, 2, 4, 3),
        ("detic", "images", "ingest", 4, 3, 1, 0, 0, 4, 4, 4),
        ("grouping", "images", "ingest", 4, 2, 2, 1, 0, 2, 4, 4),
        ("grouping", "objects", "detic", 3, 2, 1, 1, 4, 2, 4, 4),
    ]
    assert bench.ask("FROM dropped") == [("grouping", "too_few_points", 1, 1, "2.png", "expected 2, found 1")]


def test_clusters_that_collapse(bench: Bench) -> None:
    """Shares, evenness and silhouette are by class; a cluster without members has no silhouette."""
    sizes = [(0, 0, 3, 0.5), (0, 1, 1, 0.1), (0, 2, 0, NAN), (1, 0, 5, NAN), (1, 1, 0, NAN)]
    rows = [{"category_id": c, "cluster": n, "size": size, "silhouette": s} for c, n, size, s in sizes]
    bench.put("ranking", tables.CLUSTERS, {0: rows}, segments="crf")
    assert bench.ask("SELECT class_name, cluster, share, silhouette FROM cluster_sizes") == [
        ("cat", 0, 0.75, 0.5),
        ("cat", 1, 0.25, pytest.approx(0.1)),
        ("cat", 2, 0.0, None),
        ("dog", 0, 1.0, None),
        ("dog", 1, 0.0, None),
    ]
    entropy = -(0.75 * log(0.75) + 0.25 * log(0.25)) / log(3)
    assert bench.ask("SELECT * EXCLUDE (node, category_id) FROM cluster_collapse") == [
        ("cat", 3, 1, 4, 0.75, pytest.approx(entropy), pytest.approx((3 * 0.5 + 0.1) / 4)),
        ("dog", 2, 1, 5, 1.0, 0.0, None),
    ]


def test_clusters_in_use(bench: Bench) -> None:
    """Masks of labels and predictions are counted by cluster, with their shares of the class and the image."""
    bench.put("labels", tables.LABELS, {0: [mask(0, cluster=2), mask(1, cluster=2, area=8), mask(1, cluster=0)]})
    assert bench.ask("FROM cluster_use") == [
        ("labels", 0, "cat", 0, 1, pytest.approx(1 / 3), 0.25),
        ("labels", 0, "cat", 2, 2, pytest.approx(2 / 3), 0.375),
    ]
