"""Ranking on hand-made segments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples

from pdstore.errors import UsageError
from schemas.stages import RankingSettings
from schemas.tables import OBJECTS, PARTS, PROPOSALS
from stages.kernels.ranking import cluster
from stages.nodes import ranking
from tests.stages import dense_ranking
from tests.stages.nodes.records import BLANK, decoded, part, proposal, random_scene, rows_of, scenes_of, thing


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
    """The class gets no clusters, not even random ones; the row of errors names it."""
    unit = bench.unit(**many[0])
    ranking.start(RankingSettings(k=3), bench.setup())(unit)
    assert [(f["image_id"], f["subject"], f["reason"]) for f in unit.faults] == [(-1, "dog", "too_few_points")]
    assert "expected at least 3 distinct points for 3 clusters" in unit.faults[0]["detail"]


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


def test_only_confident_segments_of_the_split_are_clustered(bench) -> None:
    """Score, share inside the object, share of the object and split decide which segments count."""
    images = bench.images(BLANK, BLANK)
    bench.images(BLANK, BLANK, unit=1, split="val")
    objects = bench.put("objects", OBJECTS, [thing(i, rows_of(0, 6)) for i in (0, 1)])
    bench.put("objects", OBJECTS, [thing(i, rows_of(0, 6)) for i in (4, 5)], 1)
    kinds = [
        (rows_of(0, 3), [0, 0], 0.9),
        (rows_of(3, 6), [1, 0], 0.8),
        (rows_of(5, 11), [2, 0], 0.9),  # mostly outside
        (rows_of(1, 2), [3, 0], 0.5),  # low score
        (rows_of(0, 1), [4, 0], 0.7),  # its pixels belong to the first
    ]
    for unit, ids in ((0, (0, 1)), (1, (4, 5))):
        records = [proposal(i, n, m, f, s) for i in ids for n, (m, f, s) in enumerate(kinds)]
        segments = bench.put("segments", PROPOSALS, records, unit)
    settings = RankingSettings(k=2, min_score=0.6, min_inside=0.5, min_object_ratio=0.05, metric="l2")
    unit = bench.unit(images=images, objects=objects, segments=segments)
    rows = ranking.start(settings, bench.setup())(unit).rows
    assert sorted(rows["centroid"][:, 0].tolist()) == [0, 1] and rows["size"].tolist() == [2, 2]


def test_part_of_the_input_is_enough_when_asked_for(bench, many) -> None:
    """Blocks that some input lacks are left out, as under --allow-partial."""
    roles, _ = many
    bench.store.layers("objects")[0].withdraw(1)
    rows = ranking.start(RankingSettings(k=3), bench.setup())(bench.unit(**roles)).rows
    assert rows["size"].sum() == 33 - 12


def test_objects_can_be_their_parts(bench) -> None:
    """With ``object_mask: parts``, segments count on the parts of a large enough object alone."""
    images = bench.images(BLANK, BLANK)
    objects = bench.put("objects", OBJECTS, [thing(0, rows_of(0, 8)), thing(1, rows_of(0, 3))])
    parts = bench.put("parts", PARTS, [part(0, 0, rows_of(0, 2)), part(0, 1, rows_of(2, 5)), part(1, 0, rows_of(0, 3))])
    masks = [(rows_of(0, 2), [0, 0]), (rows_of(2, 5), [1, 0]), (rows_of(6, 8), [2, 0])]
    records = [proposal(i, n, mask, feature) for i in (0, 1) for n, (mask, feature) in enumerate(masks)]
    roles = {"images": images, "objects": objects, "segments": bench.put("segments", PROPOSALS, records)}

    def centroids(k: int, **settings) -> list[float]:
        chosen = RankingSettings(k=k, min_score=0.5, metric="l2", **settings)
        rows = ranking.start(chosen, bench.setup())(bench.unit(**roles, parts=parts)).rows
        return [*sorted(rows["centroid"][:, 0].tolist()), int(rows["size"].sum())]

    assert centroids(3) == [0, 1, 2, 5]
    assert centroids(2, object_mask="parts") == [0, 1, 4]
    assert centroids(2, object_mask="parts", min_image_ratio=0.25) == [0, 1, 2]
    bench.store.layers("parts")[0].withdraw(0)
    assert len(ranking.start(RankingSettings(k=2), bench.setup())(bench.unit(**roles, parts=parts)).rows) == 0
    settings = RankingSettings(k=2, object_mask="parts")
    with pytest.raises(UsageError, match="needs an input 'parts'"):
        ranking.start(settings, bench.setup())(bench.unit(**roles))


def chosen_densely(
    scenes: Iterable[tuple[dict[str, Any], list[dict[str, Any]]]], **bounds: Any
) -> list[list[np.ndarray]]:
    """Per object class, by rising category_id, the features of the segments that painted masks choose.

    Args:
        scenes: rows of objects, each with the rows of its segments. bounds: of :func:`dense_ranking.chosen`.
    """
    features: dict[int, list[np.ndarray]] = {}
    for row, own in scenes:
        scores = np.array([record["score"] for record in own], np.float32)
        index = dense_ranking.chosen(decoded(own), scores, decoded([row])[0], **bounds)
        features.setdefault(row["category_id"], []).extend(own[n]["feature"] for n in index)
    return [found for _, found in sorted(features.items())]


@pytest.mark.parametrize("one_per_pixel", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_clusters_are_those_of_painted_masks(bench, seed: int, one_per_pixel: bool) -> None:
    """Runs choose the segments that pixels choose, in the same order, so centroids are equal to the last bit."""
    objects, records = random_scene(seed)
    settings = RankingSettings(
        k=2, min_score=0.3, min_inside=0.2, min_object_ratio=0.05, unique_pixels=one_per_pixel, split=""
    )
    scenes = [(row, [one for one in records if one["image_id"] == row["image_id"]]) for row in objects[::2]]  # the best
    features = chosen_densely(scenes, min_score=0.3, min_inside=0.2, min_object_ratio=0.05, one_per_pixel=one_per_pixel)
    expected = [cluster(np.stack(found), 2).centroids for found in features if len(found) >= 2]
    roles = {"objects": bench.put("objects", OBJECTS, objects), "segments": bench.put("segments", PROPOSALS, records)}
    rows = ranking.start(settings, bench.setup())(bench.unit(images=bench.images(*[BLANK] * 4), **roles)).rows
    assert rows["centroid"].tobytes() == np.concatenate(expected).tobytes()


def test_the_clusters_of_a_pipeline_are_those_of_painted_masks(grouped, run_all) -> None:
    """On photographs, with the parts of a CRF as segments, centroids are equal to the last bit."""
    run_all(grouped, ["crf", "ranking"])
    features = chosen_densely(scenes_of(grouped), min_score=0, min_inside=0, min_object_ratio=0, one_per_pixel=True)
    expected = [cluster(np.stack(found), 2).centroids for found in features]
    assert len(expected) == 2
    rows = grouped.layers("ranking")[0].read(0)
    assert rows["centroid"].tobytes() == np.concatenate(expected).tobytes()
