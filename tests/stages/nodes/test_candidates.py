"""Candidates of hand-made segments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pdstore.errors import UsageError
from schemas.stages import CandidatesSettings
from schemas.tables import OBJECTS, PARTS, PROPOSALS
from stages.nodes import candidates
from tests.stages.nodes.chosen import chosen_densely
from tests.stages.nodes.records import BLANK, SIZE, part, proposal, random_scene, rows_of, scenes_of, thing


def test_only_confident_segments_of_the_split_are_candidates(bench) -> None:
    """Score, share inside the object, share of the object and split decide; a row says which segment it is."""
    images = bench.images(BLANK, BLANK)
    bench.images(BLANK, BLANK, unit=1, split="val")
    objects = bench.put("objects", OBJECTS, [thing(i, rows_of(0, 6)) for i in (0, 1)])
    bench.put("objects", OBJECTS, [thing(i, rows_of(0, 6)) for i in (4, 5)], 1)
    kinds = [
        (rows_of(0, 3), 0.9),
        (rows_of(3, 6), 0.8),
        (rows_of(5, 11), 0.9),  # mostly outside
        (rows_of(1, 2), 0.5),  # low score
        (rows_of(0, 1), 0.7),  # its pixels belong to the first
    ]
    for unit, ids in ((0, (0, 1)), (1, (4, 5))):
        records = [proposal(i, n + 5, mask, [i, n], score) for i in ids for n, (mask, score) in enumerate(kinds)]
        segments = bench.put("segments", PROPOSALS, records, unit)
    roles = {"images": images, "objects": objects, "segments": segments}
    bounds = {"min_score": 0.6, "min_inside": 0.5, "min_object_ratio": 0.05}
    run = candidates.start(CandidatesSettings(**bounds), bench.setup())
    rows = run(bench.unit(**roles)).rows
    assert list(zip(rows["image_id"].tolist(), rows["segment_id"].tolist(), strict=True)) == [
        (0, 5),
        (0, 6),
        (1, 5),
        (1, 6),
    ]
    assert rows["feature"].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert rows["area"].tolist() == [3 * SIZE] * 4 and rows["object_ratio"].tolist() == [0.5] * 4
    assert len(run(bench.unit(1, **roles)).rows) == 0
    every = candidates.start(CandidatesSettings(split="", **bounds), bench.setup())
    assert every(bench.unit(1, **roles)).rows["image_id"].tolist() == [4, 4, 5, 5]


def test_rows_rise_by_class_and_keep_their_order_within(bench) -> None:
    """Within a class they are in the order of images, objects and segments, which k-means depends on."""
    images = bench.images(*[BLANK] * 4, classes=[1, 0, 1, 0])
    objects = bench.put("objects", OBJECTS, [thing(i, rows_of(0, 9), i % 2) for i in (3, 0, 1, 2)])
    records = [proposal(i, n, rows_of(n, n + 1), [i, n]) for i in (2, 0, 1, 3) for n in (4, 1)]
    unit = bench.unit(images=images, objects=objects, segments=bench.put("segments", PROPOSALS, records))
    rows = candidates.start(CandidatesSettings(), bench.setup())(unit).rows
    found = [tuple(rows[name].tolist()) for name in ("category_id", "image_id", "segment_id")]
    assert found == [(0, 0, 0, 0, 1, 1, 1, 1), (0, 0, 2, 2, 1, 1, 3, 3), (4, 1) * 4]


def test_a_class_outside_the_vocabulary_has_none(bench) -> None:
    """Its objects cannot be ranked; an image without a segment has no row either, and is no error."""
    images = bench.images(BLANK, BLANK, classes=[0, 0])
    objects = bench.put("objects", OBJECTS, [thing(0, rows_of(0, 9), -1), thing(1, rows_of(0, 9))])
    segments = bench.put("segments", PROPOSALS, [proposal(0, 0, rows_of(0, 3), [1])])
    unit = bench.unit(images=images, objects=objects, segments=segments)
    assert len(candidates.start(CandidatesSettings(), bench.setup())(unit).rows) == 0 and unit.faults == []


def test_objects_can_be_their_parts(bench) -> None:
    """With ``object_mask: parts``, segments count on the parts of a large enough object alone."""
    images = bench.images(BLANK, BLANK)
    objects = bench.put("objects", OBJECTS, [thing(0, rows_of(0, 8)), thing(1, rows_of(0, 3))])
    parts = bench.put("parts", PARTS, [part(0, 0, rows_of(0, 2)), part(0, 1, rows_of(2, 5)), part(1, 0, rows_of(0, 3))])
    masks = [rows_of(0, 2), rows_of(2, 5), rows_of(6, 8)]
    records = [proposal(i, n, mask, [n, 0]) for i in (0, 1) for n, mask in enumerate(masks)]
    roles = {"images": images, "objects": objects, "segments": bench.put("segments", PROPOSALS, records)}

    def chosen(**settings: Any) -> list[tuple[int, int, int]]:
        run = candidates.start(CandidatesSettings(min_score=0.5, **settings), bench.setup())
        rows = run(bench.unit(**roles, parts=parts)).rows
        found = (rows[name].tolist() for name in ("image_id", "segment_id", "area"))
        return [(image, number, area // SIZE) for image, number, area in zip(*found, strict=True)]

    assert chosen() == [(0, 0, 2), (0, 1, 3), (0, 2, 2), (1, 0, 2), (1, 1, 1)]
    assert chosen(object_mask="parts") == [(0, 0, 2), (0, 1, 3), (1, 0, 2), (1, 1, 1)]
    assert chosen(object_mask="parts", min_image_ratio=0.25) == [(0, 0, 2), (0, 1, 3)]
    with pytest.raises(UsageError, match="needs an input 'parts'"):
        candidates.start(CandidatesSettings(object_mask="parts"), bench.setup())(bench.unit(**roles))


def test_a_place_follows_the_feature_if_it_is_asked_for(bench) -> None:
    """Nothing else changes; the place is relative to the object, and a flag begins each object."""
    images = bench.images(BLANK, BLANK)
    objects = bench.put("objects", OBJECTS, [thing(0, rows_of(0, 8)), thing(1, rows_of(2, 10))])
    masks = [(0, rows_of(0, 4)), (0, rows_of(4, 8)), (1, rows_of(2, 6)), (1, rows_of(6, 10))]
    segments = bench.put("segments", PROPOSALS, [proposal(i, n, mask, [n, 1]) for n, (i, mask) in enumerate(masks)])
    unit = bench.unit(images=images, objects=objects, segments=segments)
    plain, placed = (
        candidates.start(CandidatesSettings(place=place), bench.setup())(unit).rows for place in (False, True)
    )
    assert plain["feature"].tolist() == placed["feature"][:, :2].tolist() and plain["feature"].shape == (4, 2)
    assert plain["segment_id"].tolist() == placed["segment_id"].tolist()
    found = placed["feature"][:, 2:].astype(float)
    assert found[:, 5].tolist() == [1, 0, 1, 0]
    np.testing.assert_array_equal(found[:2], found[2:])
    # Centroids are 2 pixels beside the object's; its standard deviation is that of 8 rows.
    np.testing.assert_allclose(found[0, :2], [0, -2 / (63 / 12) ** 0.5], atol=1e-3)
    np.testing.assert_allclose(found[0, 4], np.log(0.5), atol=1e-3)


def test_parts_are_numbered_by_their_part_id(bench) -> None:
    """Where segments are parts, ``segment_id`` is the number within the object."""
    images = bench.images(BLANK, classes=[0])
    objects = bench.put("objects", OBJECTS, [thing(0, rows_of(0, 9))])
    segments = bench.put("segments", PARTS, [part(0, 7, rows_of(0, 3)), part(0, 2, rows_of(3, 6))])
    unit = bench.unit(images=images, objects=objects, segments=segments)
    assert candidates.start(CandidatesSettings(), bench.setup())(unit).rows["segment_id"].tolist() == [7, 2]


@pytest.mark.parametrize("one_per_pixel", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_candidates_are_those_of_painted_masks(bench, seed: int, one_per_pixel: bool) -> None:
    """Runs choose the segments that pixels choose, in the same order within each class."""
    objects, records = random_scene(seed)
    bounds = {"min_score": 0.3, "min_inside": 0.2, "min_object_ratio": 0.05}
    settings = CandidatesSettings(**bounds, unique_pixels=one_per_pixel, split="")
    scenes = [(row, [one for one in records if one["image_id"] == row["image_id"]]) for row in objects[::2]]  # the best
    expected = chosen_densely(scenes, **bounds, one_per_pixel=one_per_pixel)
    roles = {"objects": bench.put("objects", OBJECTS, objects), "segments": bench.put("segments", PROPOSALS, records)}
    unit = bench.unit(images=bench.images(*[BLANK] * 4), **roles)
    rows = candidates.start(settings, bench.setup())(unit).rows
    found = {category: rows["feature"][index] for category, index in rows.by("category_id").items()}
    assert {c: f.tobytes() for c, f in found.items()} == {c: np.stack(f).tobytes() for c, f in expected.items()}


def test_the_candidates_of_a_pipeline_are_those_of_painted_masks(grouped, run_all) -> None:
    """On photographs, with the parts of a CRF as segments; SQL has their scalars."""
    run_all(grouped, ["crf", "candidates"])
    expected = chosen_densely(scenes_of(grouped), min_score=0, min_inside=0, min_object_ratio=0, one_per_pixel=True)
    layer = grouped.layers("candidates")[0]
    found: dict[int, list[np.ndarray]] = {}
    for rows in layer.scan():
        assert rows["category_id"].tolist() == sorted(rows["category_id"].tolist())
        for category, index in rows.by("category_id").items():
            found.setdefault(category, []).extend(rows["feature"][index])
    assert {c: np.stack(f).tobytes() for c, f in sorted(found.items())} == {
        c: np.stack(f).tobytes() for c, f in expected.items()
    }
