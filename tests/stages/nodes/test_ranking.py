"""Ranking on hand-made candidates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples

from pdstore import Layer
from pdstore.errors import UsageError
from schemas.stages import CandidatesSettings, RankingSettings
from schemas.tables import OBJECTS, PROPOSALS
from stages.kernels.naming.scorer import SCORERS, unpack
from stages.kernels.ranking import cluster
from stages.nodes import ranking
from stages.source.listing import ImageClass
from tests.stages.nodes.chosen import chosen_densely, features_by_class, put_candidates
from tests.stages.nodes.records import BLANK, proposal, random_scene, rows_of, scenes_of, thing


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
    roles = {"images": images, "objects": objects, "segments": segments}
    return put_candidates(bench, CandidatesSettings(), range(3), **roles), np.stack(features)


def test_clusters_are_those_of_kmeans_over_all_blocks(bench, many) -> None:
    """Centroids and silhouettes of a class equal scikit-learn's on its features gathered in one array."""
    layer, features = many
    settings = RankingSettings(k=3, n_init=4, metric="l2", seed=3)
    rows = ranking.start(settings, bench.setup())(bench.unit(candidates=layer)).rows
    fitted = KMeans(3, n_init=4, random_state=3).fit(features.astype(np.float32))
    np.testing.assert_allclose(rows["centroid"], fitted.cluster_centers_, rtol=1e-5)
    assert rows["size"].tolist() == np.bincount(fitted.labels_).tolist()
    assert rows["cluster"].tolist() == [0, 1, 2] and set(rows["category_id"].tolist()) == {0}
    apart = silhouette_samples(features.astype(np.float32), fitted.labels_)
    expected = [apart[fitted.labels_ == number].mean() for number in range(3)]
    np.testing.assert_allclose(rows["silhouette"], expected, rtol=1e-5)


def test_a_class_with_too_few_segments_is_an_error_row(bench, many) -> None:
    """The class gets no clusters, not even random ones; the row of errors names it. So does a class without any."""
    setup = bench.setup(classes=(*bench.classes, ImageClass(2, "n00000003", "owl")))
    unit = bench.unit(candidates=many[0])
    ranking.start(RankingSettings(k=3), setup)(unit)
    assert [(f["image_id"], f["subject"], f["reason"]) for f in unit.faults] == [
        (-1, "dog", "too_few_points"),
        (-1, "owl", "too_few_points"),
    ]
    assert all("expected at least 3 distinct points for 3 clusters" in fault["detail"] for fault in unit.faults)


@pytest.mark.parametrize(("limit", "reads"), [(1 << 20, [(0, 2)]), (300, [(0, 1), (1, 2)])])
def test_as_many_classes_are_in_memory_as_fit(
    bench, many, monkeypatch: pytest.MonkeyPatch, limit: int, reads: list[tuple[int, int]]
) -> None:
    """The clusters are the same whether classes are read one by one or together, and no vector is read twice."""
    read, seen, sizes = ranking.Slices.read, [], []
    cluster_, expected = ranking.cluster, ranking.start(RankingSettings(k=3), bench.setup())
    before = expected(bench.unit(candidates=many[0])).rows["centroid"].tobytes()

    def counted(self, units, low, high):
        seen.append((low, high))
        return read(self, units, low, high)

    monkeypatch.setattr(ranking, "BATCH_BYTES", limit)
    monkeypatch.setattr(ranking.Slices, "read", counted)
    monkeypatch.setattr(ranking, "cluster", lambda f, *a, **k: sizes.append(len(f)) or cluster_(f, *a, **k))
    rows = ranking.start(RankingSettings(k=3), bench.setup())(bench.unit(candidates=many[0])).rows
    assert seen == reads and sizes == [33, 1] and rows["centroid"].tobytes() == before


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 20))
def test_batches_cut_a_run_of_classes(sizes: list[int], limit: int) -> None:
    """Every class is in one batch, in order; a batch is within the limit or a single class; no two fit together."""
    batches = list(ranking._batches(sizes, limit))
    assert [n for first, last in batches for n in range(first, last)] == list(range(len(sizes)))
    totals = [sum(sizes[first:last]) for first, last in batches]
    assert all(t <= limit or last - first == 1 for t, (first, last) in zip(totals, batches, strict=True))
    assert all(t + sizes[first] > limit for t, (first, _) in zip(totals, batches[1:], strict=False))


def test_part_of_the_input_is_enough_when_asked_for(bench, many) -> None:
    """Blocks without candidates are left out, as under --allow-partial."""
    many[0].withdraw(1)
    rows = ranking.start(RankingSettings(k=3), bench.setup())(bench.unit(candidates=many[0])).rows
    assert rows["size"].sum() == 33 - 12


def test_a_bucket_has_its_own_classes(bench, many) -> None:
    """Buckets of one class each give together what one bucket gives."""
    settings = RankingSettings(k=2)
    whole = ranking.start(settings, bench.setup())(bench.unit(candidates=many[0])).rows
    run = ranking.start(RankingSettings(k=2, classes_per_unit=1), bench.setup())
    first, second = (run(bench.unit(number, candidates=many[0])) for number in (0, 1))
    assert first.rows["centroid"].tobytes() == whole["centroid"].tobytes() and len(second.rows) == 0


@pytest.mark.parametrize("one_per_pixel", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_clusters_are_those_of_one_class_after_the_other(bench, seed: int, one_per_pixel: bool) -> None:
    """Sorting by class changes no centroid, to the last bit: k-means gets block after block, image after image."""
    bounds = {"min_score": 0.3, "min_inside": 0.1, "min_object_ratio": 0.0}
    settings = CandidatesSettings(**bounds, unique_pixels=one_per_pixel, split="")
    for block in range(3):
        objects, records = random_scene(10 * seed + block)
        for record in (*objects, *records):
            record["image_id"] += 4 * block
        images = bench.images(*[BLANK] * 4, unit=block)
        objects_layer = bench.put("objects", OBJECTS, objects, block)
        segments = bench.put("segments", PROPOSALS, records, block)
    roles = {"images": images, "objects": objects_layer, "segments": segments}
    features = features_by_class(bench.unit(**roles), range(3), settings)
    expected = [
        cluster(found, 2, n_init=3, seed=seed) for found in features.values() if len(np.unique(found, axis=0)) > 1
    ]
    layer = put_candidates(bench, settings, range(3), **roles)
    run = ranking.start(RankingSettings(k=2, n_init=3, seed=seed), bench.setup())
    rows = run(bench.unit(candidates=layer)).rows
    assert len(rows) > 0 and rows["centroid"].tobytes() == np.concatenate([c.centroids for c in expected]).tobytes()
    assert rows["size"].tolist() == np.concatenate([c.counts for c in expected]).tolist()
    assert rows["silhouette"].tobytes() == np.concatenate([c.silhouettes for c in expected]).tobytes()


def test_places_are_needed_where_a_setting_uses_them(bench, many) -> None:
    """Each of these settings is refused without places in the candidates, and with another metric than l2."""
    on = {"k_min": 2, "whiten": 2, "place": 1.0, "centre": True, "matching": True, "merge": 0.5}
    assert tuple(on) == RankingSettings.of_places
    for name, value in on.items():
        settings = RankingSettings(k=3, metric="l2", **{name: value})
        with pytest.raises(
            UsageError, match=rf"{name} of ranking: the candidates have no places.*candidates.place=true"
        ):
            ranking.start(settings, bench.setup())(bench.unit(candidates=many[0]))
        with pytest.raises(UsageError, match=f"{name} need metric=l2"):
            RankingSettings.parse({name: value}, "ranking")


def test_at_their_defaults_the_settings_of_places_leave_layers_current(bench, many) -> None:
    """They are not in the fingerprints of candidates and rankings, and no file is stored beside the clusters."""
    assert "place" not in CandidatesSettings().identity()
    assert not set(RankingSettings.of_places) & set(RankingSettings(metric="l2").identity())
    output = ranking.start(RankingSettings(k=3, metric="l2"), bench.setup())(bench.unit(candidates=many[0]))
    assert output.files == {} and "centre" in RankingSettings(metric="l2", centre=True).identity()


def _placed(bench) -> Layer:
    """Candidates with places: four cats of three strips, whose features only differ between cats, and one dog."""
    images = bench.images(*[BLANK] * 4, classes=[0, 0, 0, 1])
    objects = bench.put("objects", OBJECTS, [thing(i, rows_of(0, 9), int(i == 3)) for i in range(4)])
    strips = [(i, n) for i in range(4) for n in range(3 if i < 3 else 1)]
    records = [proposal(i, n, rows_of(3 * n, 3 * n + 3), [i, 10 * i + n / 100]) for i, n in strips]
    roles = {"images": images, "objects": objects, "segments": bench.put("segments", PROPOSALS, records)}
    return put_candidates(bench, CandidatesSettings(place=True), **roles)


def test_clusters_can_be_places(bench) -> None:
    """Strips of one place are one cluster, whatever the cat; a class without clusters has no scorers."""
    layer, settings = _placed(bench), RankingSettings(k=3, metric="l2", centre=True, place=3.0, whiten=1, n_init=5)
    unit = bench.unit(candidates=layer)
    output = ranking.start(settings, bench.setup())(unit)
    assert output.rows["size"].tolist() == [3, 3, 3] and output.rows["centroid"].shape == (3, 2)
    np.testing.assert_allclose(output.rows["centroid"][:, 0], 1)
    scorers = unpack(output.files[SCORERS])
    assert list(scorers) == [0] and [fault["subject"] for fault in unit.faults] == ["dog"]
    found = scorers[0].clusters(layer.read(0)["feature"][:9]).reshape(3, 3)
    assert len(set(found[0].tolist())) == 3 and (found == found[0]).all()
    again = ranking.start(settings, bench.setup())(bench.unit(candidates=layer))
    assert again.files == output.files and again.rows["centroid"].tobytes() == output.rows["centroid"].tobytes()


def test_candidates_with_places_are_compared_by_distance(bench) -> None:
    """A dot product with a place would mean nothing; without any other setting, features alone are clustered."""
    layer = _placed(bench)
    with pytest.raises(UsageError, match=r"metric=dot.*Set metric=l2"):
        ranking.start(RankingSettings(k=3), bench.setup())(bench.unit(candidates=layer))
    rows = ranking.start(RankingSettings(k=3, metric="l2"), bench.setup())(bench.unit(candidates=layer)).rows
    assert sorted(rows["centroid"][:, 0].tolist()) == [0, 1, 2]


def test_the_clusters_of_a_pipeline_are_those_of_painted_masks(grouped, run_all) -> None:
    """On photographs, with the parts of a CRF as segments, centroids are equal to the last bit."""
    run_all(grouped, ["crf", "candidates", "ranking"])
    features = chosen_densely(scenes_of(grouped), min_score=0, min_inside=0, min_object_ratio=0, one_per_pixel=True)
    expected = [cluster(np.stack(found), 2).centroids for found in features.values()]
    assert len(expected) == 2
    rows = grouped.layers("ranking")[0].read(0)
    assert rows["centroid"].tobytes() == np.concatenate(expected).tobytes()
