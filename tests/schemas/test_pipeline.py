from __future__ import annotations

import pytest

from pdstore.errors import UsageError
from schemas.pipeline import NodeSpec, PipelineSpec, SourceSpec, merged_values


def test_an_input_is_one_node_or_several() -> None:
    """It may be written as a name or as a list of names."""
    node = NodeSpec(inputs={"images": "ingest", "parts": ["a", "b"]})
    assert node.inputs == {"images": ("ingest",), "parts": ("a", "b")}


def test_a_pipeline_is_read_strictly() -> None:
    """An error names the path of an unknown key, a missing node or a wrong value."""
    for values, message in (
        ({"nodes": {"a": {"input": {}}}}, r"pipeline.nodes.a.input: unknown setting"),
        ({}, r"pipeline.nodes: field required"),
        ({"nodes": {}, "block_size": -1}, r"pipeline.block_size: .*greater than or equal to 0"),
        ({"nodes": {"a": {"inputs": 3}}}, r"pipeline.nodes.a.inputs"),
    ):
        with pytest.raises(UsageError, match=message):
            PipelineSpec.parse(values, "pipeline")


@pytest.mark.parametrize("name", ["a/../b", "..", "", "-a", "a b", "Grouping", "a=b", "a\n"])
def test_a_name_that_cannot_be_a_folder_is_refused(name: str) -> None:
    """A node names a folder of the store: lower-case letters and digits and, after the first, also . _ -."""
    with pytest.raises(UsageError, match="should match pattern"):
        PipelineSpec.parse({"nodes": {name: {"stage": "ingest"}}}, "pipeline")
    assert PipelineSpec.parse({"nodes": {"part_imagenet.2-parts": {"stage": "ingest"}}}, "pipeline")


def test_a_pipeline_has_a_node() -> None:
    """A pipeline without nodes is refused."""
    with pytest.raises(UsageError, match=r"pipeline.nodes: .*at least 1 item"):
        PipelineSpec.parse({"nodes": {}}, "pipeline")


def test_a_source_names_its_folder() -> None:
    """A source without a folder is refused."""
    with pytest.raises(UsageError, match=r"source.root: field required"):
        SourceSpec.parse({}, "source")


def test_mappings_are_merged_and_all_else_is_replaced() -> None:
    """A list, a number or null takes the place of what was there; nothing of the original is changed."""
    values = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {"f": 1}}
    assert merged_values(values, {"a": {"c": {"d": [3]}, "g": None}, "e": 2}) == {
        "a": {"b": 1, "c": {"d": [3]}, "g": None},
        "e": 2,
    }
    assert values == {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {"f": 1}}
