from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.pipeline import PipelineSpec
from stages.plan.passes import passes
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset


def found(
    detic: dict[str, Any], people: dict[str, Any], names: tuple[str, ...] = ("detic", "people")
) -> list[tuple[str, ...]]:
    """The passes of these nodes in a pipeline where ``detic`` and ``people`` are of stage detic."""
    nodes = {
        "ingest": {},
        "again": {"stage": "ingest"},
        "detic": {"stage": "detic", "inputs": {"images": "ingest"}, **detic},
        "people": {"stage": "detic", "inputs": {"images": "ingest"}, **people},
        "grouping": {"inputs": {"images": "ingest", "objects": "detic"}},
    }
    return passes(Pipeline(PipelineSpec.parse({"nodes": nodes}, "pipeline")), names)


def sam3(**settings: Any) -> dict[str, Any]:
    return {"settings": {"backend": "sam3", "weights": "org/one@1", **settings}}


@pytest.mark.parametrize(
    "settings", [{}, {"mode": "human-only", "words": ["man"], "min_score": 0.3}, {"max_objects": 1}]
)
def test_nodes_that_ask_one_network_share_a_pass(settings: dict[str, Any]) -> None:
    """Two nodes that differ only in what they ask for are one pass, in the order in which they are named."""
    assert found(sam3(), sam3(**settings)) == [("detic", "people")]
    assert found(sam3(), sam3(**settings), ("people", "detic")) == [("people", "detic")]


@pytest.mark.parametrize(
    "settings", [{"backend": "saliency"}, {"weights": "org/one@2"}, {"long_side": 320}, {"batch_size": 1}]
)
def test_another_network_or_other_batches_are_another_pass(settings: dict[str, Any]) -> None:
    """What changes the costly part, if only in the last bit, separates the nodes."""
    assert found(sam3(), sam3(**settings)) == [("detic",), ("people",)]


def test_nodes_that_read_other_nodes_do_not_share() -> None:
    """The images of another node are other images, even if its settings are equal."""
    assert found(sam3(), {**sam3(), "inputs": {"images": "again"}}) == [("detic",), ("people",)]


def test_a_pass_stands_at_the_place_of_its_first_node() -> None:
    """A later node of the pass moves forward; all others keep their order, and a node alone is a pass of its own."""
    order = ("ingest", "detic", "grouping", "people")
    assert found(sam3(), sam3(), order) == [("ingest",), ("detic", "people"), ("grouping",)]
    assert found(sam3(), sam3(), ("ingest", "again")) == [("ingest",), ("again",)]


def test_embeddings_of_words_are_late_but_weights_are_not(tmp_path: Path) -> None:
    """Files of names belong to the question; a file of weights with other content is another network."""
    for name in ("a.pth", "b.pth", "names.npy", "words.npy"):
        (tmp_path / name).write_text(name)

    def settings(weights: str, embeddings: str) -> dict[str, Any]:
        paths = {"weights": str(tmp_path / weights), "embeddings": str(tmp_path / embeddings)}
        return {"settings": {"backend": "detic", **paths}}

    one = settings("a.pth", "names.npy")
    assert found(one, settings("a.pth", "words.npy")) == [("detic", "people")]
    assert found(one, settings("b.pth", "names.npy")) == [("detic",), ("people",)]


@pytest.mark.parametrize("preset", ["demo", "imagenet_1k"])
def test_the_presets_find_objects_and_people_in_one_pass(preset: str) -> None:
    """In both presets detic and detic-human share a pass, and no other nodes do."""
    pipeline = Pipeline(read_preset(preset), root="images")
    assert [names for names in passes(pipeline, pipeline.nodes) if len(names) > 1] == [("detic", "detic-human")]
