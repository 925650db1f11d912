from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pdstore import Store
from pdstore.errors import InputMissing, UsageError
from stages.plan.project import Project
from stages.show.web.snapshots import Snapshot, Snapshots
from stages.show.web.work import feature_map
from stages.show.web.work.feature_map import feature_nodes, methods, pca, read_map
from tests.stages.conftest import run_all


def test_pca_finds_the_directions_of_largest_variance() -> None:
    """Points on a tilted ellipse in seven dimensions lie along its axes, whatever the order of the points."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((7, 7)))[0]
    inner = rng.standard_normal((400, 2)) * [5, 2]
    points = (inner @ axes[:2] + 3).astype(np.float32)
    places = pca(points)
    for column in range(2):
        assert abs(np.corrcoef(places[:, column], inner[:, column])[0, 1]) > 0.99
    assert places.std(0)[0] > places.std(0)[1] > 1
    order = rng.permutation(400)
    np.testing.assert_allclose(pca(points[order]), places[order], atol=1e-2)
    assert pca(np.ones((5, 1), np.float32)).shape == (5, 2)


def test_a_map_of_all_classes_and_of_one(snapshot: Snapshot) -> None:
    """Every candidate is a point with its key; the points of one class have the clusters of the ranking as groups."""
    assert feature_nodes(snapshot) == ["grouping", "crf", "candidates"]
    every = read_map(snapshot, "candidates")
    rows = snapshot.rows("SELECT image_id, object_id, segment_id, category_id FROM candidates")
    assert {tuple(key) for key in every.keys.tolist()} == {tuple(row.values())[:3] for row in rows}
    assert not every.is_by_cluster and sorted(every.groups.tolist()) == sorted(row["category_id"] for row in rows)
    assert every.places.min() == 0 and every.places.max() == 1
    one = read_map(snapshot, "candidates", 1)
    assert one.is_by_cluster and len(one) == sum(row["category_id"] == 1 for row in rows)
    sizes = snapshot.rows("SELECT cluster, size FROM clusters WHERE category_id = 1 AND size > 0 ORDER BY 1")
    assert np.unique(one.groups, return_counts=True)[1].tolist() == [row["size"] for row in sizes]


def test_scorers_are_those_of_the_unit_of_the_class(ranked: Store, snapshots: Snapshots) -> None:
    """Of a ranking with places, whose units have one class each: either class has its own clusters as groups."""
    changes = ["candidates.place=true", "ranking.metric=l2", "ranking.place=1", "ranking.classes_per_unit=1"]
    Project.open(ranked, changes).record(is_consent=True)
    run_all(ranked, ["candidates", "ranking"])
    snapshot = snapshots.refresh()
    assert snapshot.layer("ranking").units() == [0, 1]
    for category in (0, 1):
        one = read_map(snapshot, "candidates", category)
        sql = f"SELECT size FROM clusters WHERE category_id = {category} AND size > 0 ORDER BY cluster"
        sizes = [row["size"] for row in snapshot.rows(sql)]
        assert len(sizes) > 1 and np.unique(one.groups, return_counts=True)[1].tolist() == sizes


def test_the_slices_of_a_class_are_its_rows(snapshot: Snapshot) -> None:
    """Features that are read by slices belong to the same segments as those that are read by blocks."""
    layer = snapshot.layer("candidates")
    keys, _, features = feature_map._sliced_points(snapshot, layer, 0)
    read = [
        layer.read(unit, ["image_id", "object_id", "segment_id", "category_id", "feature"]) for unit in layer.units()
    ]
    stored = {
        (int(rows["image_id"][i]), int(rows["object_id"][i]), int(rows["segment_id"][i])): rows["feature"][i]
        for rows in read
        for i in np.flatnonzero(rows["category_id"] == 0)
    }
    assert {tuple(key) for key in keys.tolist()} == set(stored)
    for key, feature in zip(keys.tolist(), features, strict=True):
        np.testing.assert_array_equal(feature, stored[tuple(key)].astype(np.float32))


def test_a_map_is_computed_once(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is kept in the user's cache; a damaged file is computed again, and the store is left as it is."""
    before = {path for path in Path(snapshot.project.store.url).rglob("*")}
    first = read_map(snapshot, "crf", 0)
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    with monkeypatch.context() as patch:
        patch.setattr(feature_map, "_points", lambda *_: pytest.fail("computed again"))
        assert np.array_equal(read_map(snapshot, "crf", 0).places, first.places)
    kept.write_bytes(b"damaged")
    assert np.array_equal(read_map(snapshot, "crf", 0).places, first.places)
    assert {path for path in Path(snapshot.project.store.url).rglob("*")} == before


def test_a_map_is_bounded(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more points than the limit are taken."""
    monkeypatch.setattr(feature_map, "MAX_POINTS", 5)
    assert len(read_map(snapshot, "crf")) == len(read_map(snapshot, "candidates", 0)) == 5


def test_what_cannot_be_mapped(snapshot: Snapshot) -> None:
    """A node without features, a method that is not there, a class without segments."""
    with pytest.raises(UsageError, match="have no features"):
        read_map(snapshot, "labels")
    with pytest.raises(UsageError, match="found 'tsne'"):
        read_map(snapshot, "crf", method="tsne")
    with pytest.raises(InputMissing, match="three segments or more, found 0"):
        read_map(snapshot, "candidates", 99)
    assert methods()[0] == "pca"
