from __future__ import annotations

import json

import pyarrow as pa
import pytest

from stages.exchange.features import arrow_schema, image_columns, mask_columns, yaml_features

COLUMNS, MASKS = image_columns(True, True), mask_columns(["object_id", "cluster"])
NAMES = ["cat 0", "cat 1"]


def test_the_schema_says_what_a_column_means() -> None:
    """Pictures, classes and boxes are told apart from plain values, for the columns that are in the file."""
    schema = arrow_schema(COLUMNS, MASKS, NAMES)
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features.keys() == set(schema.names) == {*COLUMNS, "annotations"}
    assert features["image"] == features["segments"] == {"_type": "Image"}
    mask = features["annotations"][0]
    assert mask["category"] == {"names": NAMES, "_type": "ClassLabel"} and mask.keys() == set(MASKS)
    assert schema.field("annotations").type.value_type.field("bbox").type == pa.list_(pa.float32(), 4)


def test_columns_are_those_that_there_are() -> None:
    """Without pictures there is no column of pictures, and objects have no cluster."""
    assert "image" not in image_columns(False, False) and "segments" not in image_columns(True, False)
    assert "cluster" in MASKS and "part_name" not in MASKS


def test_datasets_understands_both_descriptions() -> None:
    """The features of the schema and those of a card's header are the same to it."""
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    features = datasets.Features.from_arrow_schema(arrow_schema(COLUMNS, MASKS, NAMES))
    assert features["annotations"].feature["category"].names == NAMES
    assert datasets.Features._from_yaml_list(yaml_features(COLUMNS, MASKS, NAMES)) == features
