from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pdstore import Rows, masks, runs
from pdstore.errors import CorruptData, UsageError
from pdstore.runs import Runs
from schemas.tables import IMAGES, OBJECTS, PARTS, PROPOSALS
from stages.segments import ObjectSegments, chosen_objects, object_parts, segment_rows
from tests.stages.dense_ranking import chosen
from tests.stages.nodes.chosen import object_segments
from tests.stages.nodes.records import BLANK, SIZE, part, proposal, rows_of, thing

PARTS_OF_TWO = (rows_of(0, 4), rows_of(2, 8))


def read(stack: np.ndarray) -> Runs:
    return runs.read(masks.encode(stack), *stack.shape[1:])


def pixels(found: Runs) -> np.ndarray:
    return masks.decode(runs.strings(found), found.height, found.width)


def segments(scores: list[float], stack: np.ndarray, mask: np.ndarray) -> ObjectSegments:
    features = np.arange(len(scores), dtype=np.float16)[:, None]
    numbers = np.arange(len(scores), dtype=np.int32)
    return ObjectSegments(0, 0, 0, read(mask[None]), read(stack), np.array(scores, np.float32), features, numbers)


@given(arrays(bool, (4, 5, 5)), arrays(bool, (5, 5)), st.floats(0, 1))
def test_segments_lie_on_the_object(stack: np.ndarray, mask: np.ndarray, min_inside: float) -> None:
    """A segment is kept if enough of its pixels are the object's, at least one."""
    kept = segments([0.1, 0.4, 0.7, 1.0], stack, mask).on_object(min_inside)
    expected = [n for n in range(4) if (stack[n] & mask).sum() >= max(1, min_inside * stack[n].sum())]
    assert kept.features[:, 0].tolist() == expected


@given(
    arrays(bool, (5, 4, 6)),
    arrays(bool, (4, 6)),
    st.lists(st.sampled_from([0.25, 0.5, 0.75, 1.0]), min_size=5, max_size=5),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.booleans(),
)
def test_the_choice_is_that_of_painted_masks(
    stack: np.ndarray, mask: np.ndarray, scores: list[float], min_inside: float, ratio: float, one_per_pixel: bool
) -> None:
    """Runs and pixels give the same segments, also where masks are empty and scores equal."""
    kept = segments(scores, stack, mask).on_object(min_inside).large(ratio, one_per_pixel=one_per_pixel)
    expected = chosen(
        stack,
        np.array(scores, np.float32),
        mask,
        min_score=0,
        min_inside=min_inside,
        min_object_ratio=ratio,
        one_per_pixel=one_per_pixel,
    )
    assert kept.features[:, 0].tolist() == expected.tolist() == kept.numbers.tolist()


def test_a_large_segment_covers_a_share_of_the_object() -> None:
    """With ``one_per_pixel`` each pixel counts for its best segment alone."""
    mask = rows_of(0, 10)
    overlapping = segments([0.5, 0.9], np.stack([rows_of(0, 4), rows_of(1, 10)]), mask)
    assert overlapping.area == mask.sum()
    assert overlapping.large(0.3, one_per_pixel=False).scores.tolist() == overlapping.scores.tolist()
    assert overlapping.large(0.3, one_per_pixel=True).features[:, 0].tolist() == [1]
    assert overlapping.large(0.05, one_per_pixel=True).features[:, 0].tolist() == [0, 1]


def test_segments_that_score_too_low_are_not_read(bench: Any) -> None:
    """A score must be above the bound; the runs of other segments are not looked at, not even for damage."""
    images = bench.images(BLANK)
    objects = bench.put("objects", OBJECTS, [thing(0, rows_of(0, 6))])
    records = [proposal(0, n, rows_of(0, 3), [n], score) for n, score in enumerate((0.5, 0.75, 0.25))]
    records[0]["rle"] = b"damaged"
    block = bench.unit(images=images, objects=objects, segments=bench.put("segments", PROPOSALS, records)).own_block
    (found,) = object_segments(block.rows("objects"), segment_rows(block), min_score=0.5)
    assert found.features.tolist() == [[1]]
    with pytest.raises(CorruptData, match="mask 0 of 2"):
        list(object_segments(block.rows("objects"), segment_rows(block), min_score=0.25))


def test_each_object_gets_the_segments_of_its_image(bench: Any) -> None:
    """Proposals belong to the image, so every object of it gets them; objects come by rising image."""
    images = bench.images(BLANK, BLANK, BLANK)
    objects = bench.put("objects", OBJECTS, [thing(1, rows_of(0, 6)), thing(0, rows_of(0, 3)), thing(2, rows_of(0, 9))])
    records = [proposal(i, n, mask, [i, n]) for i in (0, 1) for n, mask in enumerate(PARTS_OF_TWO)]
    block = bench.unit(images=images, objects=objects, segments=bench.put("segments", PROPOSALS, records)).own_block
    by_object = list(object_segments(block.rows("objects"), segment_rows(block), min_score=0))
    assert [segments_of.image_id for segments_of in by_object] == [0, 1, 2]
    assert by_object[1].features.tolist() == [[1, 0], [1, 1]] and len(by_object[2].scores) == 0
    assert (pixels(by_object[0].masks) == np.stack(PARTS_OF_TWO)).all()
    assert (pixels(by_object[0].outline) == rows_of(0, 3)).all()


def test_parts_belong_to_their_object(bench: Any) -> None:
    """Where segments are parts, an object gets those with its own object_id."""
    images = bench.images(BLANK)
    objects = bench.put("objects", OBJECTS, [thing(0, rows_of(0, 6)), thing(0, rows_of(6, 9), object_id=1)])
    records = [part(0, 0, rows_of(0, 3)), part(0, 1, rows_of(3, 6)), part(0, 0, rows_of(6, 9), object_id=1)]
    block = bench.unit(images=images, objects=objects, segments=bench.put("segments", PARTS, records)).own_block
    first, second = object_segments(block.rows("objects"), segment_rows(block), min_score=0)
    assert (pixels(first.masks) == np.stack([rows_of(0, 3), rows_of(3, 6)])).all()
    assert (second.object_id, len(second.masks)) == (1, 1) and (pixels(second.masks)[0] == rows_of(6, 9)).all()


def test_an_image_without_a_class_has_all_its_objects(bench: Any) -> None:
    """Of an image with a class the best object is chosen; of one without, also every other object with a class."""
    images = Rows(IMAGES, {"image_id": [0, 1], "class_id": [0, -1]}, partial=True)
    records = [thing(i, rows_of(0, 3), category, n) for i in (0, 1) for n, category in enumerate((1, -1, 0))]
    objects = bench.put("objects", OBJECTS, records).read(0)
    best = chosen_objects(objects, images)
    assert list(zip(best["image_id"].tolist(), best["object_id"].tolist(), strict=True)) == [(0, 0), (1, 0), (1, 2)]


def test_small_objects_are_left_out(bench: Any) -> None:
    """An object must cover more than a share of its image; it is not enough to cover just this share."""
    images = Rows(IMAGES, {"image_id": [0, 1, 2], "class_id": [0, 0, 0]}, partial=True)
    records = [thing(i, rows_of(0, size)) for i, size in enumerate((2, 3, 4))]
    objects = bench.put("objects", OBJECTS, records).read(0)
    assert chosen_objects(objects, images, 3 / 12)["image_id"].tolist() == [2]
    assert chosen_objects(objects, images, 0.0)["image_id"].tolist() == [0, 1, 2]


def test_the_parts_of_an_object_can_be_its_mask(bench: Any) -> None:
    """With parts, a mask is the union of the object's own, and an object without a pixel of a part is left out."""
    images = bench.images(BLANK, BLANK, BLANK)
    things = [thing(0, rows_of(9, 12), object_id=1), *(thing(i, rows_of(0, 9)) for i in (0, 1, 2))]
    records = [part(0, 0, rows_of(0, 3)), part(0, 1, rows_of(2, 5)), part(0, 0, rows_of(10, 11), object_id=1)]
    records.append(part(2, 0, rows_of(0, 0)))
    roles = {
        "objects": bench.put("objects", OBJECTS, things),
        "segments": bench.put("segments", PROPOSALS, [proposal(0, 0, rows_of(4, 8), [1])]),
    }
    unit = bench.unit(images=images, **roles, parts=bench.put("parts", PARTS, records))
    block = unit.own_block
    parts = object_parts(unit, block, "parts")
    found = list(object_segments(block.rows("objects"), segment_rows(block), parts, min_score=0))
    assert [(s.image_id, s.object_id) for s in found] == [(0, 1), (0, 0)]
    assert (pixels(found[0].outline) == rows_of(10, 11)).all()
    assert (pixels(found[1].outline) == rows_of(0, 5)).all()
    assert runs.areas_inside(found[1].masks, found[1].outline).tolist() == [SIZE]
    assert object_parts(unit, block, "detector") is None


def test_masks_of_parts_need_an_input(bench: Any) -> None:
    """The error says which input is missing and what to set instead."""
    unit = bench.unit(images=bench.images(BLANK))
    with pytest.raises(UsageError, match=r"object_mask=parts needs an input 'parts', .*object_mask=detector"):
        object_parts(unit, unit.own_block, "parts")
