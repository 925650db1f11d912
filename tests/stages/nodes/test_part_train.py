from __future__ import annotations

import json
from typing import Any

import pytest

from pdstore.errors import InputMissing
from schemas.stages import PartTrainSettings
from schemas.tables import PARTS
from stages.nodes import part_train
from stages.stage import PART_NAMES
from stages.unit import Output
from tests.stages.nodes.records import part, rows_of
from tests.stages.nodes.training import NOISE, settings_of, shape_of


def train(bench: Any, *names: tuple[str, str], **settings: Any) -> Output:
    images = bench.images(NOISE)
    records = [
        part(0, number, rows_of(3 * number, 3 * number + 3), name=name) | {"category_name": category}
        for number, (category, name) in enumerate(names)
    ]
    unit = bench.unit(images=images, parts=bench.put("drawn", PARTS, records))
    return part_train.start(settings_of(PartTrainSettings, **settings), bench.setup())(unit)


ANIMALS = (("dog", "head"), ("cat", "tail"), ("cat", "head"))


def test_each_object_class_has_its_own_parts(bench: Any) -> None:
    """One class per pair of object class and part, sorted; a file lists them for whoever predicts."""
    output = train(bench, *ANIMALS)
    assert json.loads(output.files[PART_NAMES]) == [["cat", "head"], ["cat", "tail"], ["dog", "head"]]
    assert shape_of(output) == (3, 0)


def test_names_may_be_shared_by_all_object_classes(bench: Any) -> None:
    """With ``shared_names`` a head is a head."""
    output = train(bench, *ANIMALS, shared_names=True)
    assert json.loads(output.files[PART_NAMES]) == [["", "head"], ["", "tail"]] and shape_of(output) == (2, 0)


def test_parts_without_names_are_refused(bench: Any) -> None:
    """Parts that were grouped have no names: the error says what to train on."""
    with pytest.raises(InputMissing, match="drawn: the parts of this node have no names. Train on a node of annotated"):
        train(bench, ("cat", ""), ("cat", ""))
