from __future__ import annotations

import json
from typing import Any

import pytest

from pdstore.errors import InputMissing
from schemas.stages import SegmenterTrainSettings
from schemas.tables import OBJECTS
from stages.nodes import segmenter_train
from stages.stage import CLASS_NAMES
from stages.unit import Output
from tests.stages.nodes.records import rows_of, thing
from tests.stages.nodes.training import NOISE, settings_of, shape_of


def train(bench: Any, *objects: dict[str, Any], **settings: Any) -> Output:
    images = bench.images(NOISE, NOISE)
    unit = bench.unit(images=images, objects=bench.put("objects", OBJECTS, list(objects)))
    return segmenter_train.start(settings_of(SegmenterTrainSettings, **settings), bench.setup())(unit)


def test_there_is_a_class_for_each_name_of_the_masks(bench: Any) -> None:
    """The vocabulary comes first, in its order, then the other names, sorted; a file names the classes."""
    others = [
        thing(1, rows_of(0, 3), -1, number) | {"category_name": name} for number, name in enumerate(("zebra", "ant"))
    ]
    output = train(bench, thing(0, rows_of(0, 6)), *others)
    names = json.loads(output.files[CLASS_NAMES])
    assert names == ["cat", "dog", "ant", "zebra"] and shape_of(output) == (4, 0)
    assert set(output.rows["evaluated"]) == {"node"} and "loss" in set(output.rows["metric"])


def test_small_objects_are_not_learned(bench: Any) -> None:
    """An object must cover more than ``min_object_ratio`` of the image; without any such object nothing is trained."""
    with pytest.raises(InputMissing, match="the split 'train' has no images to train on"):
        train(bench, thing(0, rows_of(0, 1)), min_object_ratio=0.1)
