from __future__ import annotations

import json

import pytest

from cli.proxies import print_proxies
from pdstore import Identity, Rows, Store, StoreInfo, layout
from schemas.tables import PROXIES

BASE = {"evaluated": "grouping", "step": "division", "proxy": "seeds", "class_name": "", "samples": 9, "value": 0.75}
NAMING = BASE | {"evaluated": "ranking", "step": "naming", "proxy": "halves", "value": 0.5}
RECORDS = [BASE, BASE | {"class_name": "dog", "value": 0.25}, NAMING]


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store.create(str(tmp_path / "store"), StoreInfo(4, 0, {"root": ""}))
    layer = store.declare("proxies", Identity("proxies", 1), PROXIES, "test")
    layer.commit(0, Rows.from_records(PROXIES, RECORDS[::-1]))
    store.files.write(layout.PIPELINE, json.dumps({"current": {"proxies": layer.fingerprint}}).encode())
    return store


def test_one_row_per_step_is_printed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The means over all classes, each proxy in its own column."""
    print_proxies(store, ["proxies"], as_json=False)
    header, _, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["node", "stands", "for", "measured", "silhouette", "seeds", "mirror", "halves", "k"]
    assert first.split() == ["proxies", "division", "grouping", "0.75"]
    assert second.split() == ["proxies", "naming", "ranking", "0.5"]
    assert first.index("0.75") < second.index("0.5")


def test_json_has_the_classes_too(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows are those of the table."""
    print_proxies(store, ["proxies"], as_json=True)
    assert json.loads(capsys.readouterr().out)["nodes"] == {"proxies": RECORDS}
