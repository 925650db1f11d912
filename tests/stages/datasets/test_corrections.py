from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pdstore import Rows, masks
from schemas.tables import LABELS, OBJECTS, PARTS, PREDICTIONS
from stages.datasets.annotated import Drawn
from stages.datasets.corrections import Corrected, each_alone
from stages.datasets.truth import TrueObject, TruePart
from tests.stages.datasets.published import HEIGHT, WIDTH, box
from tests.stages.nodes.cats import BLACK


def counts(mask: np.ndarray) -> bytes:
    return masks.encode(mask[None])[0]


def found(table: Any, image_id: int, object_id: int, mask: np.ndarray, **changes: Any) -> dict[str, Any]:
    row = {"image_id": image_id, "object_id": object_id, "category_id": 0, "category_name": "cat", "score": 0.5}
    row |= {"part_id": 0, "label_id": 0, "cluster": 0, "part_name": "", "object_ratio": 1.0, "changed": 0.0}
    row |= {"area": int(mask.sum()), "height": HEIGHT, "width": WIDTH, "rle": counts(mask)}
    row |= {"feature": np.array([1, 0], np.float16)} | changes
    return {name: row[name] for name in table.names}


def drawn(*drawings: np.ndarray, image_id: int = 0, object_id: int = 0, category_id: int = 0) -> Drawn:
    parts = tuple(TruePart("head", counts(mask)) for mask in drawings)
    whole = masks.union([part.counts for part in parts], HEIGHT, WIDTH)
    areas = tuple(int(mask.sum()) for mask in drawings)
    thing = TrueObject("cat", whole, parts)
    return Drawn(image_id, object_id, category_id, HEIGHT, WIDTH, thing, max(sum(areas), 1), areas)


@pytest.fixture
def corrected(bench: Any):
    """``corrected(role, table, *records)``: what a node has found in a block of four images."""

    def make(role: str, table: Any, *records: dict[str, Any], into: Any = None) -> Corrected:
        images, layer = bench.images(BLACK, BLACK, BLACK, BLACK), bench.put(role, table, list(records))
        return Corrected(bench.unit(images=images, **{role: layer}), role, into or table)

    return make


def test_a_mask_belongs_to_the_object_that_it_covers_most(corrected: Any) -> None:
    """Objects keep their numbers; a mask that meets none belongs to the first of its class."""
    left, right = box(0, 0, 8, 8), box(0, 16, 8, 8)
    node = corrected("labels", LABELS, found(LABELS, 0, 2, left), found(LABELS, 0, 5, right))
    (two, five) = node.placed([drawn(box(0, 17, 2, 2), box(0, 1, 2, 2), box(20, 4, 2, 2))])
    assert (two.object_id, two.part_areas) == (2, (4, 4)) and (five.object_id, five.part_areas) == (5, (4,))
    assert two.area == 64 + 4 and five.area == 64
    assert [part.counts for part in two.thing.parts] == [counts(box(0, 1, 2, 2)), counts(box(20, 4, 2, 2))]


def test_an_object_of_a_class_that_was_not_found_is_new(corrected: Any) -> None:
    """Its number is the next free one of the image, also for two new classes, and where nothing was found."""
    node = corrected("labels", LABELS, found(LABELS, 0, 0, box(0, 0, 8, 8)))
    pieces = box(0, 0, 2, 2)
    new = [drawn(pieces, category_id=1), drawn(pieces), drawn(pieces, category_id=-1), drawn(pieces, image_id=3)]
    placed = [(obj.image_id, obj.category_id, obj.object_id) for obj in node.placed(new)]
    assert placed == [(0, 0, 0), (0, 1, 1), (0, -1, 2), (3, 0, 0)]


def test_listed_images_are_those_of_the_drawing(corrected: Any) -> None:
    """Rows of listed images are replaced, even by nothing; the others stay, in the order of the images."""
    node = corrected("objects", OBJECTS, *(found(OBJECTS, n, 0, box(0, 0, 4, 4)) for n in range(4)))
    rows = Rows.from_records(OBJECTS, [found(OBJECTS, 2, 0, box(0, 0, 1, 1))])
    result = node.with_drawn(rows, {1, 2})
    assert result["image_id"].tolist() == [0, 2, 3] and result["area"].tolist() == [16, 1, 16]
    nothing = node.with_drawn(Rows.empty(OBJECTS), {0, 1, 2, 3})
    assert len(nothing) == 0 and nothing.table == OBJECTS


def test_predictions_become_labels(corrected: Any) -> None:
    """What labels do not have is left out."""
    node = corrected("labels", PREDICTIONS, found(PREDICTIONS, 0, 0, box(0, 0, 4, 4), part_name="head"), into=LABELS)
    assert tuple(node.with_drawn(Rows.empty(LABELS), set()).columns) == LABELS.names


def test_a_drawn_part_has_the_feature_of_the_part_that_it_resembles(corrected: Any) -> None:
    """That of the largest intersection over union in its image; zeros if it meets none."""
    large, small = box(0, 0, 10, 10), box(0, 0, 4, 4)
    other = np.array([0, 3], np.float16)
    node = corrected(
        "parts", PARTS, found(PARTS, 0, 0, large), found(PARTS, 0, 0, small, feature=other), found(PARTS, 1, 0, large)
    )
    drawings = [(0, box(0, 0, 3, 4)), (0, box(20, 20, 2, 2)), (2, large)]
    rows = [found(PARTS, n, 0, mask, feature=np.zeros(0, np.float16)) for n, mask in drawings]
    result = node.with_drawn(Rows.from_records(PARTS, rows), {0, 2})
    assert result["feature"].tolist() == [[0, 3], [0, 0], [1, 0], [0, 0]]


def test_every_annotation_is_an_object() -> None:
    """They are numbered within their image, and one without pixels is left out."""
    empty = np.zeros((HEIGHT, WIDTH), bool)
    listed = [
        drawn(box(0, 0, 1, 1), empty, box(1, 1, 2, 2)),
        drawn(box(0, 0, 3, 3), object_id=1),
        drawn(empty, image_id=1),
    ]
    objects = list(each_alone([*listed, drawn(box(0, 0, 1, 2), image_id=2)]))
    assert [(o.image_id, o.object_id, o.area) for o in objects] == [(0, 0, 1), (0, 1, 4), (0, 2, 9), (2, 0, 2)]
    assert objects[1].thing.counts == counts(box(1, 1, 2, 2))
