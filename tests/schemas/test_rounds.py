from __future__ import annotations

from typing import Any

import pytest

from pdstore.errors import UsageError
from schemas.pipeline import NodeSpec, PipelineSpec
from schemas.rounds import with_rounds

Nodes = dict[str, dict[str, Any]]
SEGMENTED: Nodes = {
    "ingest": {},
    "detic": {"inputs": {"images": "ingest"}},
    "crf": {"inputs": {"images": "ingest", "parts": "grouping"}},
    "truth": {"stage": "annotated-parts", "inputs": {"images": "ingest"}},
}


def labelled(segments: str) -> Nodes:
    """A round that labels the segments of a node."""
    own = {"images": "ingest", "objects": "detic", "segments": segments}
    return {
        "candidates": {"inputs": own, "settings": {"min_score": 0.2}},
        "ranking": {"inputs": {"candidates": "candidates"}, "settings": {"k": 6, "metric": "l2"}},
        "labels": {"inputs": {**own, "clusters": "ranking"}},
        "distill-train": {"inputs": {"images": "ingest", "labels": "labels", "model": "learner"}},
        "distill": {"stage": "predict", "inputs": {"images": "ingest", "model": "distill-train"}},
    }


PROPOSED: Nodes = {
    **SEGMENTED,
    "learner": {"stage": "proposal-train", "inputs": {"images": "ingest", "parts": ["crf"]}},
    "proposals": {"inputs": {"images": "ingest", "model": "learner"}, "settings": {"long_side": 0}},
    **labelled("proposals"),
    "plain-labels": {"stage": "labels", "inputs": {"images": "ingest", "objects": "detic", "segments": "crf"}},
    "eval-labels": {
        "stage": "eval",
        "inputs": {"images": "ingest", "truth": "truth", "predicted": "labels", "segments": "proposals"},
        "optional": True,
    },
    "losses": {"inputs": {"images": "ingest", "truth": "truth", "segments": ["crf"], "predicted": "distill"}},
}


def spec(nodes: Nodes, rounds: int = 2) -> PipelineSpec:
    return PipelineSpec.parse({"rounds": rounds, "nodes": nodes}, "pipeline")


def inputs(node: NodeSpec) -> dict[str, str]:
    return {role: ",".join(names) for role, names in node.inputs.items()}


def test_a_round_repeats_what_comes_after_the_proposals() -> None:
    """Each new node reads the new ones; proposals and training start from the final model; the rest is left alone."""
    first = spec(PROPOSED, 1)
    found = with_rounds(spec(PROPOSED))
    assert with_rounds(first) is first and found.rounds == 1
    assert {name: found.nodes[name] for name in PROPOSED} == first.nodes
    new = {name: node for name, node in found.nodes.items() if name not in PROPOSED}
    assert {name: inputs(node) for name, node in new.items()} == {
        "proposals-2": {"images": "ingest", "model": "distill-train"},
        "candidates-2": {"images": "ingest", "objects": "detic", "segments": "proposals-2"},
        "ranking-2": {"candidates": "candidates-2"},
        "labels-2": {"images": "ingest", "objects": "detic", "segments": "proposals-2", "clusters": "ranking-2"},
        "distill-train-2": {"images": "ingest", "labels": "labels-2", "model": "distill-train"},
        "distill-2": {"images": "ingest", "model": "distill-train-2"},
        "eval-labels-2": {"images": "ingest", "truth": "truth", "predicted": "labels-2", "segments": "proposals-2"},
        "losses-2": {"images": "ingest", "truth": "truth", "segments": "crf", "predicted": "distill-2"},
    }
    assert all(node.settings == found.nodes[name.removesuffix("-2")].settings for name, node in new.items())
    assert (new["ranking-2"].stage, new["distill-2"].stage) == ("ranking", "predict") and new["eval-labels-2"].optional


def test_a_third_round_starts_from_the_second() -> None:
    """Its proposals and its training read the final model of the round before."""
    nodes = with_rounds(spec(PROPOSED, 3)).nodes
    for name in ("proposals", "distill-train"):
        assert nodes[f"{name}-3"].inputs["model"] == ("distill-train-2",)
    assert nodes["distill-train-3"].inputs["labels"] == ("labels-3",)
    assert nodes["eval-labels-3"].inputs["segments"] == ("proposals-3",)


def test_a_round_can_follow_labels_of_other_segments() -> None:
    """Without proposals the final model makes some all the same, as large as it predicts; losses keep segments."""
    nodes = {**SEGMENTED, "learner": {"stage": "weights"}, **labelled("crf"), "losses": PROPOSED["losses"]}
    nodes["distill"]["settings"] = {"long_side": 96, "flip": True}
    found = with_rounds(spec(nodes)).nodes
    assert found["proposals-2"] == NodeSpec(
        stage="proposals",
        inputs={"images": ("ingest",), "model": ("distill-train",)},
        settings={"long_side": 96},
    )
    assert found["candidates-2"].inputs["segments"] == found["labels-2"].inputs["segments"] == ("proposals-2",)
    assert found["losses-2"].inputs["segments"] == ("crf",) and "crf-2" not in found


def test_a_node_of_a_later_round_is_changed_by_its_name() -> None:
    """What the pipeline says of NAME-2 takes precedence; writing the rounds out twice changes nothing."""
    changes = {
        "ranking-2": {"settings": {"k": 9}},
        "candidates-2": {"inputs": {"parts": "crf"}},
        "losses-2": {"optional": True},
    }
    found = with_rounds(spec(PROPOSED | changes))
    assert found.nodes["ranking-2"].settings == {"k": 9, "metric": "l2"}
    assert inputs(found.nodes["candidates-2"]) == {
        "images": "ingest",
        "objects": "detic",
        "segments": "proposals-2",
        "parts": "crf",
    }
    assert found.nodes["losses-2"].optional and "ranking-2-2" not in found.nodes
    assert with_rounds(found.model_copy(update={"rounds": 2})).nodes == found.nodes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"other": {"stage": "distill-train", "inputs": {"labels": "labels"}}}, "found distill-train, other"),
        ({"distill-train": {"stage": "part-train"}}, "one node of stage distill-train, found none"),
        (
            {"labels": {"stage": "original-labels"}},
            "of stage labels as the input labels of distill-train, found labels",
        ),
        ({"ranking": {"stage": "weights"}}, "of stage ranking as the input clusters of labels, found ranking"),
    ],
)
def test_a_pipeline_without_a_clear_round_is_refused(changes: Nodes, message: str) -> None:
    """Two final models, none, or labels that are not ranked: the message names the nodes."""
    with pytest.raises(UsageError, match=message):
        with_rounds(spec(PROPOSED | changes))


def test_the_number_of_rounds_is_no_part_of_a_recorded_pipeline() -> None:
    """What a store records has the nodes, so that an earlier release can read it."""
    assert "rounds" not in with_rounds(spec(PROPOSED)).model_dump(mode="json")
