from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest

from pdstore import Identity, Rows, Store, StoreInfo, layout
from schemas.catalog import catalog_of
from schemas.tables import PROXIES
from stages.evaluation.proxies import DIVISION, NAMING, Measured, averaged, read_proxies

MANY = [Measured({"seeds": 1.0, "k": math.nan}), Measured({"seeds": 0.5, "k": 0.2}), Measured({"seeds": 0.0, "k": 0.4})]
FEW = [Measured({"seeds": 0.1, "k": math.nan})]


def test_every_class_counts_the_same() -> None:
    """The value of all classes is the mean of their means, whatever the number of their objects."""
    rows = averaged("grouping", DIVISION, {"dog": MANY, "cat": FEW})
    found = {(row.proxy, row.class_name): (row.value, row.samples) for row in rows}
    assert found["seeds", "dog"] == (0.5, 3) and found["seeds", "cat"] == (0.1, 1)
    assert found["seeds", ""] == (pytest.approx(0.3), 4)


def test_what_was_not_measured_has_no_row() -> None:
    """A value that is not a number counts nowhere; a class without any has no row."""
    rows = averaged("grouping", DIVISION, {"dog": MANY, "cat": FEW})
    assert {(r.class_name, r.samples, round(r.value, 9)) for r in rows if r.proxy == "k"} == {
        ("", 2, 0.3),
        ("dog", 2, 0.3),
    }
    assert averaged("grouping", DIVISION, {"cat": [Measured({"k": math.nan})]}) == []


def test_rows_come_back_in_the_order_of_reading(tmp_path) -> None:
    """Division before naming, all classes before each of them, proxies in their own order."""
    rows = averaged("grouping", DIVISION, {"dog": MANY, "cat": FEW})
    rows += averaged("ranking", NAMING, {"dog": [Measured({"silhouette": 0.2, "halves": 0.9}, 40)]})
    store = Store.create(str(tmp_path / "store"), StoreInfo(4, 0, {"root": ""}))
    layer = store.declare("proxies", Identity("proxies", 1), PROXIES, "test")
    layer.commit(0, Rows.from_records(PROXIES, [asdict(row) for row in rows[::-1]]))
    store.files.write(layout.PIPELINE, json.dumps({"current": {"proxies": layer.fingerprint}}).encode())
    found = read_proxies(catalog_of(store), "proxies")
    assert sorted(found, key=str) == sorted(rows, key=str)
    order = [(row.step, row.class_name, row.proxy) for row in found]
    assert order[:3] == [("division", "", "seeds"), ("division", "", "k"), ("division", "cat", "seeds")]
    assert order[-2:] == [("naming", "dog", "silhouette"), ("naming", "dog", "halves")]
    assert read_proxies(catalog_of(store), "others") == []
