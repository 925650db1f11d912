from __future__ import annotations

from typing import Any

import pytest

from pdstore import Rows, Table
from schemas.tables import CANDIDATES, LABELS, OBJECTS, PARTS, PROPOSALS
from stages.plan.pipeline import Node
from stages.show.web.dropped import bounds_of, dropped
from stages.show.web.snapshots import Snapshot

_ZERO = {"string": "", "float32": 0.0, "float16": [0.0], "uint8": b""}


def _rows(table: Table, *records: dict[str, Any]) -> Rows:
    blank = {c.name: _ZERO.get(c.dtype, 0) for c in table.columns}
    return Rows.from_records(table, [{**blank, **record} for record in records])


@pytest.fixture
def node(snapshot: Snapshot) -> Node:
    """Candidates that need a score above 0.5 and half of them on the object."""
    found = snapshot.project["candidates"]
    changes = {"min_score": 0.5, "min_inside": 0.5, "split": "train"}
    return Node(found.name, found.stage, found.settings.model_copy(update=changes), found.inputs, found.identity)


def test_thresholds_are_named(node: Node) -> None:
    """Settings that bound something, unless they let everything through."""
    assert bounds_of(node) == {"min_score": 0.5, "min_inside": 0.5}


def test_segments_are_dropped_for_their_score_or_their_place(node: Node) -> None:
    """Those below the bound are counted apart; the bound itself is below, as in the stage."""
    proposals = _rows(PROPOSALS, *({"proposal_id": i, "score": s} for i, s in enumerate((0.9, 0.5, 0.2, 0.8))))
    kept = _rows(CANDIDATES, {"segment_id": 0})
    assert dropped(node, kept, {"proposals": proposals}, "train") == [
        "2 proposals with a score of at most 0.5 (min_score)",
        "1 proposal: too little of an object (min_inside)",
    ]
    assert dropped(node, kept, {"proposals": proposals.take([0])}, "train") == []


def test_parts_of_two_objects_are_told_apart(node: Node) -> None:
    """A part with the number of a chosen one, but of another object, was dropped."""
    parts = _rows(PARTS, *({"object_id": i, "part_id": 0, "score": 0.9} for i in (0, 1)))
    kept = _rows(CANDIDATES, {"object_id": 0, "segment_id": 0})
    assert dropped(node, kept, {"crf": parts}, "train") == ["1 part: too little of an object (min_inside)"]


def test_only_one_split_is_clustered(node: Node) -> None:
    """An image of another split has no candidates, and nothing else is to be said."""
    proposals = _rows(PROPOSALS, {"score": 0.9})
    sentences = dropped(node, _rows(CANDIDATES), {"proposals": proposals}, "val")
    assert sentences == ["only images of the split train are clustered; this one is in val"]


def test_objects_and_parts_without_a_row_are_named(snapshot: Snapshot) -> None:
    """An object without labels, and a part that lost its last pixel to the CRF."""
    objects = _rows(OBJECTS, {"object_id": 0, "category_name": "cat"}, {"object_id": 1, "category_name": "dog"})
    labels = _rows(LABELS, {"object_id": 0})
    assert dropped(snapshot.project["labels"], labels, {"detic": objects}, "train") == ["object 1 (dog) has none"]
    before = _rows(PARTS, {"object_id": 0, "part_id": 0}, {"object_id": 0, "part_id": 1})
    found = dropped(snapshot.project["crf"], before.take([0]), {"grouping": before}, "train")
    assert found == ["part 1 of object 0 has no pixel left"]
