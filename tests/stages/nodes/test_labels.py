"""Labels on hand-made segments and clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pdstore import Identity, Rows, Store, masks
from schemas.stages import CrfSettings, LabelsSettings
from schemas.tables import CLUSTERS, OBJECTS, PARTS, PROPOSALS
from stages.kernels.crf import smooth
from stages.kernels.naming.scorer import SCORERS, Scorer, pack
from stages.kernels.ranking import affinity
from stages.nodes import labels
from stages.source.listing import ImageClass
from tests.stages import dense_ranking
from tests.stages.nodes.records import (
    BLANK,
    SIZE,
    cluster,
    decoded,
    part,
    proposal,
    random_scene,
    records_of,
    rows_of,
    scenes_of,
    thing,
)


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
    clusters = bench.put("clusters", CLUSTERS, [cluster(0, number, np.eye(2)[number]) for number in (0, 1)])

    parts = bench.put("parts", PARTS, [part(0, 0, rows_of(1, 3)), part(0, 1, rows_of(3, 8))])

    def run(**settings: Any):
        unit = bench.unit(images=images, objects=objects, segments=segments, clusters=clusters, parts=parts)
        rows = labels.start(LabelsSettings(**{"metric": "l2", **settings}), bench.setup())(unit).rows
        return unit, rows, masks.decode(rows.ragged("rle"), SIZE, SIZE)

    return run


def test_segments_of_one_cluster_are_merged_on_the_object(labelled) -> None:
    """One row per cluster of the best object: merged, cut to the object, each pixel in its best segment."""
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


def test_the_parts_of_an_object_can_be_its_mask(labelled) -> None:
    """With ``object_mask: parts``, labels are cut to the union of the parts, and ratios are shares of it."""
    unit, rows, stack = labelled(min_segment_score=0.1, object_mask="parts")
    assert (stack[0] == rows_of(1, 4) | rows_of(7, 8)).all() and (stack[1] == rows_of(4, 6)).all()
    assert rows["object_ratio"].tolist() == pytest.approx([4 / 7, 2 / 7])
    assert unit.faults == []  # the dog has no parts, so it is not ranked


def test_small_objects_have_no_labels(labelled) -> None:
    """An object needs a larger share of its image than ``min_image_ratio``."""
    assert len(labelled(min_image_ratio=8 / 12)[1]) > 0 and len(labelled(min_image_ratio=9 / 12)[1]) == 0


def test_centroids_are_read_once_in_a_process(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many blocks follow; but those of a bucket that was computed again are read again."""
    reads: list[int] = []
    for block in (0, 1):
        images = bench.images(BLANK, unit=block, classes=[0])
        objects = bench.put("objects", OBJECTS, [thing(4 * block, rows_of(0, 9))], block)
        segments = bench.put("segments", PROPOSALS, [proposal(4 * block, 0, rows_of(0, 4), [1, 0])], block)
    clusters = bench.put("clusters", CLUSTERS, [cluster(0, number, np.eye(2)[number]) for number in (0, 1)])
    roles = {"images": images, "objects": objects, "segments": segments, "clusters": clusters}
    read = type(clusters).read
    monkeypatch.setattr(
        type(clusters),
        "read",
        lambda s, u, c=None: (reads.append(u) if s.node == "clusters" else None, read(s, u, c))[1],
    )
    run = labels.start(LabelsSettings(metric="l2"), bench.setup())
    assert [run(bench.unit(block, **roles)).rows["cluster"].tolist() for block in (0, 1, 0)] == [[0]] * 3
    assert reads == [0]
    clusters.withdraw(0)
    clusters.commit(0, Rows.from_records(CLUSTERS, [cluster(0, number, np.eye(2)[1 - number]) for number in (0, 1)]))
    assert run(bench.unit(1, **roles)).rows["cluster"].tolist() == [1] and reads == [0, 0]


def test_a_class_without_clusters_is_an_error_row(labelled) -> None:
    """An image whose class was not clustered is in ``errors``, and has no labels."""
    unit, rows, _ = labelled()
    assert set(rows["image_id"].tolist()) == {0}
    assert [(f["subject"], f["reason"]) for f in unit.faults] == [("0_1.png", "no_clusters")]


def test_an_object_without_clusters_is_not_its_image(bench) -> None:
    """An image of two objects, one of a class that was clustered, has lost an object and is not left out."""
    bench.classes = (*bench.classes, ImageClass(-1, "", ""))
    images = bench.images(BLANK, classes=[2])
    objects = bench.put("objects", OBJECTS, [thing(0, rows_of(0, 6)), thing(0, rows_of(6, 12), 1, 1)])
    segments = bench.put("segments", PROPOSALS, [proposal(0, 0, rows_of(0, 12), [1, 0])])
    clusters = bench.put("clusters", CLUSTERS, [cluster(1, number, np.eye(2)[number]) for number in (0, 1)])
    unit = bench.unit(images=images, objects=objects, segments=segments, clusters=clusters)
    rows = labels.start(LabelsSettings(metric="l2"), bench.setup())(unit).rows
    assert set(rows["object_id"].tolist()) == {1}
    assert unit.left_out == {"object": 1} and unit.num_rejected("no_clusters") == 0


def test_an_object_without_segments_has_no_labels(labelled, bench) -> None:
    """Neither a block whose segments all score too low nor one without any segment is a failure."""
    _, rows, _ = labelled(min_segment_score=0.95)
    assert len(rows) == 0
    nothing = bench.put("nothing", PROPOSALS, [])
    layers = {name: bench.store.layers(name)[0] for name in ("images", "objects", "clusters")}
    unit = bench.unit(**layers, segments=nothing)
    assert len(labels.start(LabelsSettings(), bench.setup())(unit).rows) == 0


def test_a_crf_smooths_the_labels_of_an_object(bench) -> None:
    """With ``crf`` the border between two labels moves to the edge in the image, and no pixel has two labels."""
    picture = np.full((SIZE, SIZE, 3), 20, np.uint8)
    picture[6:] = 230
    images, objects = bench.images(picture), bench.put("objects", OBJECTS, [thing(0, rows_of(0, SIZE))])
    records = [proposal(0, 0, rows_of(0, 5), [1, 0]), proposal(0, 1, rows_of(5, SIZE), [0, 1])]
    clusters = bench.put("clusters", CLUSTERS, [cluster(0, number, np.eye(2)[number]) for number in (0, 1)])
    segments = bench.put("segments", PROPOSALS, records)
    unit = bench.unit(images=images, objects=objects, segments=segments, clusters=clusters)
    crf = CrfSettings(gt_prob=0.6, gaussian_sxy=1, bilateral_sxy=10, bilateral_srgb=20, long_side=0)
    rough, smoothed = (
        labels.start(LabelsSettings(metric="l2", crf=chosen), bench.setup())(unit).rows for chosen in (None, crf)
    )
    assert rough["area"].tolist() == [5 * SIZE, 7 * SIZE]
    assert smoothed["cluster"].tolist() == [0, 1] and smoothed["area"].tolist() == [6 * SIZE, 6 * SIZE]


def test_objects_and_segments_may_have_different_frames(bench) -> None:
    """An object mask in original pixels is brought to the frame of the segments, in which the labels are."""
    images = bench.images(BLANK)
    large = np.repeat(np.repeat(rows_of(0, 9), 3, 0), 3, 1)
    objects = bench.put("objects", OBJECTS, [thing(0, large)])
    segments = bench.put("segments", PROPOSALS, [proposal(0, 0, rows_of(4, 12), [1, 0])])
    clusters = bench.put("clusters", CLUSTERS, [cluster(0, number, np.eye(2)[number]) for number in (0, 1)])
    unit = bench.unit(images=images, objects=objects, segments=segments, clusters=clusters)
    rows = labels.start(LabelsSettings(metric="l2"), bench.setup())(unit).rows
    assert (rows["height"].tolist(), rows["area"].tolist()) == ([SIZE], [5 * SIZE])
    assert (masks.decode(rows.ragged("rle"), SIZE, SIZE)[0] == rows_of(4, 9)).all()
    assert rows["object_ratio"][0] == pytest.approx(5 / 9)


@pytest.mark.parametrize("settings", [{}, {"unique_pixels": False, "top": 7}, {"use_object_mask": False}])
@pytest.mark.parametrize("with_crf", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_the_rows_are_those_of_painted_masks(bench, seed: int, settings: dict[str, Any], with_crf: bool) -> None:
    """Every column is equal to the last bit, with and without a CRF."""
    objects, records = random_scene(seed)
    centroids = np.random.default_rng(seed).normal(size=(3, 3)).astype(np.float32)
    crf = CrfSettings(gaussian_sxy=1, bilateral_sxy=3, bilateral_srgb=20, long_side=0) if with_crf else None
    chosen = LabelsSettings(min_segment_score=0.3, min_inside=0.2, min_object_ratio=0.02, crf=crf, **settings)
    picture = np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    expected = [
        row
        for thing_ in objects[::2]  # the best object of each image
        for row in painted(
            thing_, [r for r in records if r["image_id"] == thing_["image_id"]], centroids, chosen, picture
        )
    ]
    records_of_clusters = [cluster(c, n, centroids[n]) for c in (0, 1) for n in range(3)]
    unit = bench.unit(
        images=bench.images(*[picture] * 4),
        objects=bench.put("objects", OBJECTS, objects),
        segments=bench.put("segments", PROPOSALS, records),
        clusters=bench.put("clusters", CLUSTERS, records_of_clusters),
    )
    rows = labels.start(chosen, bench.setup())(unit).rows
    assert len(rows) > 0
    found = zip(*(rows[name].tolist() for name in _PAINTED), rows.ragged("rle"), strict=True)
    assert list(found) == expected


def test_the_rows_of_a_pipeline_are_those_of_painted_masks(grouped: Store, run_all) -> None:
    """On photographs, with the parts of a CRF as segments, every column is equal to the last bit."""
    run_all(grouped, ["crf", "candidates", "ranking", "labels"])
    clusters = grouped.layers("ranking")[0].read(0)
    expected = [
        painting
        for row, own in scenes_of(grouped)
        for painting in painted(
            row, own, clusters["centroid"][clusters["category_id"] == row["category_id"]], LabelsSettings()
        )
    ]
    found = [row for unit in range(4) for row in records_of(grouped.layers("labels")[0].read(unit))]
    assert len(found) > 12
    assert [tuple(row[name] for name in (*_PAINTED, "rle")) for row in found] == expected


_PAINTED = ("image_id", "object_id", "category_id", "label_id", "cluster", "score", "area", "object_ratio")


def painted(
    row: dict[str, Any],
    own: list[dict[str, Any]],
    centroids: np.ndarray,
    settings: LabelsSettings,
    picture: np.ndarray | None = None,
) -> list[tuple[Any, ...]]:
    """The rows of an object, from masks of pixels: the columns ``_PAINTED`` and the run lengths."""
    scores, outline, stack = np.array([r["score"] for r in own], np.float32), decoded([row])[0], decoded(own)
    kept = dense_ranking.on_object(stack, scores, outline, settings.min_segment_score, settings.min_inside)
    parts = dense_ranking.rank_parts(
        stack[kept],
        scores[kept],
        affinity(np.array([r["feature"] for r in own])[kept], centroids, settings.metric, settings.normalize),
        top=settings.top,
        min_score=settings.min_score,
        min_area_ratio=settings.min_object_ratio,
        outline=outline if settings.use_object_mask else None,
        one_label_a_pixel=settings.unique_pixels,
    )
    found = parts.masks
    if picture is not None and settings.crf is not None and len(found):
        found = smooth(picture, found, **settings.crf.model_dump())
    areas = found.sum((1, 2))
    ratios = (areas / max(int(outline.sum()), 1)).astype(np.float32)
    identity = row["image_id"], row["object_id"], row["category_id"]
    columns = zip(parts.clusters.tolist(), parts.scores.tolist(), areas.tolist(), ratios.tolist(), strict=True)
    return [
        (*identity, n, *values, counts)
        for n, (values, counts) in enumerate(zip(columns, masks.encode(found), strict=True))
        if areas[n]
    ]


def test_segments_are_matched_with_the_scorers_of_the_ranking(bench) -> None:
    """Scorers beside the clusters replace the centroids: places decide, and each cluster takes one segment."""
    images = bench.images(BLANK, BLANK, classes=[0, 1])
    objects = bench.put("objects", OBJECTS, [thing(0, rows_of(0, 9)), thing(1, rows_of(0, 9), 1)])
    strips = [proposal(0, n, rows_of(3 * n, 3 * n + 3), [5, 5], 0.9 - n / 10) for n in range(3)]
    segments = bench.put("segments", PROPOSALS, strips)
    # Score c is c - 1 times the place along y; the third cluster is nobody's best, but the bias makes it tempting.
    weights = np.zeros((3, 7), np.float32)
    weights[:, 3] = [-1, 0, 1]
    scorer = Scorer(
        weights, np.array([0, 0.1, 0], np.float32), np.arange(3), np.zeros(3, np.float32), True, False, True
    )
    layer = bench.store.declare("clusters", Identity("ranking", 1), CLUSTERS, "test")
    rows = Rows.from_records(CLUSTERS, [cluster(0, number, [0, 0]) for number in range(3)])
    layer.commit(0, rows, extra={SCORERS: pack({0: scorer})})
    unit = bench.unit(images=images, objects=objects, segments=segments, clusters=layer)
    found = labels.start(LabelsSettings(), bench.setup())(unit).rows
    assert found["cluster"].tolist() == [0, 1, 2] and found["image_id"].tolist() == [0] * 3
    np.testing.assert_array_equal(
        masks.decode(found.ragged("rle"), SIZE, SIZE), [rows_of(3 * n, 3 * n + 3) for n in range(3)]
    )
    assert [fault["reason"] for fault in unit.faults] == ["no_clusters"]
    assert (found["score"] <= np.array([0.9, 0.8, 0.7], np.float32)).all() and (found["score"] > 0.4).all()
