from __future__ import annotations

import pytest

from pdstore.errors import UsageError
from schemas.pipeline import NodeSpec, PipelineSpec, SourceSpec


def test_one_input_or_several_are_written_alike() -> None:
    """An input is a node's name or a list of names."""
    node = NodeSpec(inputs={"images": "ingest", "parts": ["a", "b"]})
    assert node.inputs == {"images": ("ingest",), "parts": ("a", "b")}


def test_a_pipeline_is_read_strictly() -> None:
    """Unknown keys, missing nodes and wrong sizes are named with their path."""
    for values, message in (
        ({"nodes": {"a": {"input": {}}}}, r"pipeline.nodes.a.input: unknown setting"),
        ({}, r"pipeline.nodes: field required"),
        ({"nodes": {}, "block_size": 0}, r"pipeline.block_size: .*greater than or equal to 1"),
        ({"nodes": {"a": {"inputs": 3}}}, r"pipeline.nodes.a.inputs"),
    ):
        with pytest.raises(UsageError, match=message):
            PipelineSpec.parse(values, "pipeline")


def test_a_source_names_its_folder() -> None:
    """A source without a folder is refused."""
    with pytest.raises(UsageError, match=r"source.root: field required"):
        SourceSpec.parse({}, "source")
