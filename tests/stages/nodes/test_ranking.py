"""Ranking and labels on hand-made segments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples

from pdstore import masks
from schemas.stages import LabelsSettings, RankingSettings
from schemas.tables import CLUSTERS, OBJECTS, PROPOSALS
from stages.nodes import labels, ranking

SIZE = 12
BLANK = np.zeros((SIZE, SIZE, 3), np.uint8)


def rows_of(first: int, last: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[first:last] = True
    return mask


def masked(image_id: int, mask: np.ndarray, score: float) -> dict[str, Any]:
    frame = {"height": SIZE, "width": SIZE, "rle": masks.encode(mask[None])[0], "area": int(mask.sum())}
    return {"image_id": image_id, "score": score, **frame}


def thing(image_id: int, mask: np.ndarray, category: int = 0, object_id: int = 0) -> dict[str, Any]:
    own = {"object_id": object_id, "category_id": category, "category_name": "cat"}
    return masked(image_id, mask, 0.9) | own


def proposal(image_id: int, number: int, mask: np.ndarray, feature: Any, score: float = 0.9) -> dict[str, Any]:
    return masked(image_id, mask, score) | {"proposal_id": number, "feature": np.asarray(feature, np.float16)}


@pytest.fixture
def many(bench):
    """Three blocks of four cats, each with three segments of 5-dimensional features; the one dog has one segment."""
    rng = np.random.default_rng(0)
    features = []
    for block in range(3):
        ids = range(4 * block, 4 * block + 4)
        images = bench.images(*[BLANK] * 4, unit=block, classes=[0, 0, 0, int(block == 2)])
        own = [int(i == 11) for i in ids]
        objects = bench.put(
            "objects", OBJECTS, [thing(i, rows_of(0, 9), c) for i, c in zip(ids, own, strict=True)], block
        )
        records = []
        for i, category in zip(ids, own, strict=True):
            for number in range(1 if category else 3):
                feature = (rng.normal(size=5) + 4 * number).astype(np.float16)
                records.append(proposal(i, number, rows_of(3 * number, 3 * number + 3), feature))
                features += [] if category else [feature]
        segments = bench.put("segments", PROPOSALS, records, block)
    return {"images": images, "objects": objects, "segments": segments}, np.stack(features)


def test_clusters_are_those_of_kmeans_over_all_blocks(bench, many) -> None:
    """Centroids and silhouettes of a class equal scikit-learn's on its features gathered in one array."""
    roles, features = many
    settings = RankingSettings(k=3, n_init=4, metric="l2", seed=3)
    rows = ranking.start(settings, bench.setup())(bench.unit(**roles)).rows
    fitted = KMeans(3, n_init=4, random_state=3).fit(features.astype(np.float32))
    np.testing.assert_allclose(rows["centroid"], fitted.cluster_centers_, rtol=1e-5)
    assert rows["size"].tolist() == np.bincount(fitted.labels_).tolist()
    assert rows["cluster"].tolist() == [0, 1, 2] and set(rows["category_id"].tolist()) == {0}
    apart = silhouette_samples(features.astype(np.float32), fitted.labels_)
    expected = [apart[fitted.labels_ == number].mean() for number in range(3)]
    np.testing.assert_allclose(rows["silhouette"], expected, rtol=1e-5)


def test_a_class_with_too_few_segments_is_an_error_row(bench, many) -> None:
    """It has no clusters, never random ones; the row names the class."""
    unit = bench.unit(**many[0])
    ranking.start(RankingSettings(k=3), bench.setup())(unit)
    assert [(f["image_id"], f["subject"], f["reason"]) for f in unit.faults] == [(-1, "dog", "too_few_points")]
    assert "3 clusters need at least 3 distinct points" in unit.faults[0]["detail"]


def test_one_class_is_in_memory_at_a_time(bench, many, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each clustering gets the features of its own class alone, and each block is read once."""
    sizes, reads = [], []
    cluster, read = ranking.cluster, type(many[0]["segments"]).read

    def counted(self, unit, columns=None):
        reads.append((self.node, unit))
        return read(self, unit, columns)

    monkeypatch.setattr(
        ranking, "cluster", lambda features, *a, **k: sizes.append(len(features)) or cluster(features, *a, **k)
    )
    monkeypatch.setattr(type(many[0]["segments"]), "read", counted)
    ranking.start(RankingSettings(k=3), bench.setup())(bench.unit(**many[0]))
    assert sizes == [33, 1]
    assert sorted(r for r in reads if r[0] == "segments") == [("segments", 0), ("segments", 1), ("segments", 2)]


def test_only_sure_segments_of_the_split_are_clustered(bench) -> None:
    """Score, share inside the object, share of the object and split decide which segments count."""
    images = bench.images(BLANK, BLANK)
    bench.images(BLANK, BLANK, unit=1, split="val")
    objects = bench.put("objects", OBJECTS, [thing(i, rows_of(0, 6)) for i in (0, 1)])
    bench.put("objects", OBJECTS, [thing(i, rows_of(0, 6)) for i in (4, 5)], 1)
    kinds = [
        (rows_of(0, 3), [0, 0], 0.9),
        (rows_of(3, 6), [1, 0], 0.8),
        (rows_of(5, 11), [2, 0], 0.9),  # mostly outside
        (rows_of(1, 2), [3, 0], 0.5),  # unsure
        (rows_of(0, 1), [4, 0], 0.7),  # its pixels belong to the first
    ]
    for unit, ids in ((0, (0, 1)), (1, (4, 5))):
        records = [proposal(i, n, m, f, s) for i in ids for n, (m, f, s) in enumerate(kinds)]
        segments = bench.put("segments", PROPOSALS, records, unit)
    settings = RankingSettings(k=2, min_score=0.6, min_inside=0.5, min_object_ratio=0.05, metric="l2")
    unit = bench.unit(images=images, objects=objects, segments=segments)
    rows = ranking.start(settings, bench.setup())(unit).rows
    assert sorted(rows["centroid"][:, 0].tolist()) == [0, 1] and rows["size"].tolist() == [2, 2]


@pytest.fixture
def labelled(bench):
    """``labelled(**settings)``: labels of one cat with overlapping segments, and of a dog without clusters."""
    images = bench.images(BLANK, BLANK, classes=[0, 1])
    objects = bench.put(
        "objects", OBJECTS, [thing(0, rows_of(0, 9)), thing(0, rows_of(9, 12), 0, 1), thing(1, rows_of(0, 9), 1)]
    )
    records = [
        proposal(0, 0, rows_of(0, 4), [1, 0], 0.9),
        proposal(0, 1, rows_of(2, 6), [0, 1], 0.5),
        proposal(0, 2, rows_of(7, 12), [1, 0.1], 0.6),
        proposal(0, 3, rows_of(0, 12), [0, 1], 0.05),
    ]
    segments = bench.put("segments", PROPOSALS, records)
    centroid = [{"category_id": 0, "cluster": n, "size": 1, "mean_distance": 0.0, "silhouette": 0.0} for n in (0, 1)]
    clusters = bench.put(
        "clusters", CLUSTERS, [c | {"centroid": np.eye(2, dtype=np.float32)[c["cluster"]]} for c in centroid]
    )

    def run(**settings: Any):
        unit = bench.unit(images=images, objects=objects, segments=segments, clusters=clusters)
        rows = labels.start(LabelsSettings(**{"metric": "l2", **settings}), bench.setup())(unit).rows
        return unit, rows, masks.decode(rows.ragged("rle"), SIZE, SIZE)

    return run


def test_segments_of_one_cluster_are_merged_on_the_object(labelled) -> None:
    """One row a cluster of the best object: merged, cut to the object, each pixel with its surest segment."""
    _, rows, stack = labelled(min_segment_score=0.1)
    assert rows["cluster"].tolist() == [0, 1] and rows["object_id"].tolist() == [0, 0]
    assert (stack[0] == rows_of(0, 4) | rows_of(7, 9)).all()
    assert (stack[1] == rows_of(4, 6)).all()
    assert not (stack[0] & stack[1]).any()
    assert rows["object_ratio"].tolist() == pytest.approx([6 / 9, 2 / 9])
    assert rows["area"].tolist() == stack.sum((1, 2)).tolist()


def test_the_object_mask_can_be_left_out(labelled) -> None:
    """Without ``use_object_mask`` segments keep what lies outside the object."""
    _, _, stack = labelled(min_segment_score=0.1, use_object_mask=False)
    assert (stack[0] == rows_of(0, 4) | rows_of(7, 12)).all()


def test_a_class_without_clusters_is_an_error_row(labelled) -> None:
    """An image whose class was not clustered is in ``errors``, and has no labels."""
    unit, rows, _ = labelled()
    assert set(rows["image_id"].tolist()) == {0}
    assert [(f["subject"], f["reason"]) for f in unit.faults] == [("0_1.png", "no_clusters")]


def test_an_object_without_segments_has_no_labels(labelled, bench) -> None:
    """Neither a block whose segments are all too unsure nor one without any segment is a failure."""
    _, rows, _ = labelled(min_segment_score=0.95)
    assert len(rows) == 0
    nothing = bench.put("nothing", PROPOSALS, [])
    layers = {name: bench.store.layers(name)[0] for name in ("images", "objects", "clusters")}
    unit = bench.unit(**layers, segments=nothing)
    assert len(labels.start(LabelsSettings(), bench.setup())(unit).rows) == 0


def test_part_of_the_input_is_enough_when_asked_for(bench, many) -> None:
    """Blocks that not every input has are left out: what --allow-partial takes."""
    roles, _ = many
    bench.store.layers("objects")[0].withdraw(1)
    rows = ranking.start(RankingSettings(k=3), bench.setup())(bench.unit(**roles)).rows
    assert rows["size"].sum() == 33 - 12
