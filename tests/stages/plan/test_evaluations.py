from __future__ import annotations

from typing import Any

import pytest

from pdstore.errors import UsageError
from schemas.pipeline import PipelineSpec
from stages.plan.evaluations import Evaluations, dataset_name, metric_place, named_truth, scored_nodes
from stages.plan.pipeline import Pipeline

IMAGES = {"images": "ingest"}


def truth(kind: str) -> dict[str, Any]:
    return {"stage": f"annotated-{kind}", "inputs": IMAGES, "settings": {"format": "pascal_part", "folder": "mat"}}


def pipeline(*without: str, **more: dict[str, Any]) -> Pipeline:
    """A pipeline with ground truth and an evaluation of its labels."""
    segments = {**IMAGES, "objects": "detic", "segments": "grouping"}
    nodes: dict[str, Any] = {
        "ingest": {},
        "detic": {"inputs": IMAGES, "settings": {"backend": "saliency"}},
        "grouping": {"inputs": {**IMAGES, "objects": "detic"}, "settings": {"backend": "pixels"}},
        "candidates": {"inputs": segments},
        "ranking": {"inputs": {"candidates": "candidates"}},
        "labels": {"inputs": {**segments, "clusters": "ranking"}},
        "truth-parts": truth("parts"),
        "truth-objects": truth("objects"),
        "eval-labels": {"stage": "eval", "inputs": {**IMAGES, "truth": "truth-parts", "predicted": "labels"}},
    }
    nodes |= {name.replace("_", "-"): node for name, node in more.items()}
    return Pipeline(PipelineSpec.parse({"nodes": {n: v for n, v in nodes.items() if n not in without}}, "pipeline"))


def test_a_node_leads_to_the_evaluation_that_scores_it() -> None:
    """By the name of the evaluation, or by that of the node it scores."""
    evaluations = Evaluations(pipeline())
    assert list(evaluations.all()) == ["eval-labels"]
    assert evaluations.of("labels") == evaluations.of("eval-labels")
    name, spec = evaluations.of("labels")
    assert name == "eval-labels" and spec == evaluations.pipeline.spec.nodes["eval-labels"]


def test_a_node_without_an_evaluation_gets_a_new_one() -> None:
    """Its inputs are the node under the role that fits, the true parts and, if there are any, the true objects."""
    name, spec = Evaluations(pipeline(), "both").of("grouping")
    assert (name, spec.stage, spec.settings) == ("eval-grouping", "eval", {"protocol": "both"})
    expected = {"images": ("ingest",), "truth": ("truth-parts",), "truth_objects": ("truth-objects",)}
    assert spec.inputs == expected | {"segments": ("grouping",)}
    assert Evaluations(pipeline()).of("detic")[1].inputs["predicted"] == ("detic",)


def test_another_protocol_is_an_additional_node() -> None:
    """It differs from the pipeline's evaluation in the protocol alone; a protocol that is covered adds nothing."""
    more = {"stage": "eval", "inputs": {**IMAGES, "truth": "truth-parts", "predicted": "detic"}}
    objects = {"truth_objects": "truth-objects"}
    node = {**more, "inputs": {**more["inputs"], **objects}, "settings": {"ar_limits": [5]}}
    name, spec = Evaluations(pipeline(eval_detic=node), "reference").of("detic")
    assert name == "eval-detic-reference"
    assert spec.settings == {"ar_limits": [5], "protocol": "reference"} and spec.inputs["predicted"] == ("detic",)
    assert Evaluations(pipeline(eval_detic=node), "honest").of("detic")[0] == "eval-detic"


def test_what_cannot_be_evaluated_is_refused() -> None:
    """Each error says what is missing and what to do."""
    with pytest.raises(UsageError, match=r"'ranking' \(stage ranking\) is neither an evaluation nor a node"):
        Evaluations(pipeline()).of("ranking")
    with pytest.raises(UsageError, match="'truth-parts' .* is neither an evaluation nor a node that finds masks"):
        Evaluations(pipeline()).of("truth-parts")
    with pytest.raises(UsageError, match="the pipeline has no evaluation node. Name a node that writes masks"):
        Evaluations(pipeline("eval-labels")).all()
    with pytest.raises(UsageError, match="no ground-truth parts. Add a node of stage annotated-parts"):
        Evaluations(pipeline("eval-labels", "truth-parts")).of("labels")
    with pytest.raises(UsageError, match="no true object masks, which the published protocol needs. Add"):
        Evaluations(pipeline("truth-objects"), "reference").of("grouping")
    taken = {"stage": "crf", "inputs": {**IMAGES, "parts": "grouping"}}
    with pytest.raises(UsageError, match="a node eval-grouping that is no evaluation of grouping. Give that node"):
        Evaluations(pipeline(eval_grouping=taken)).of("grouping")


def test_a_data_set_is_chosen_by_its_name() -> None:
    """Of several data sets one must be named; the store's own data set is another name for truth-parts."""
    several = pipeline(other_parts=truth("parts"))
    with pytest.raises(UsageError, match="several data sets: other, truth. Choose one: --dataset NAME"):
        Evaluations(several).of("grouping")
    name, spec = Evaluations(several, dataset="other").of("grouping")
    assert name == "eval-grouping-other" and spec.inputs["truth"] == ("other-parts",)
    assert Evaluations(several, dataset="pascal_part", source="pascal_part").of("labels")[0] == "eval-labels"
    with pytest.raises(UsageError, match="no data set 'othr'. Did you mean 'other'"):
        Evaluations(several, dataset="othr").of("labels")
    with pytest.raises(UsageError, match="against truth-parts, not against other-parts. .*pd eval labels --data"):
        Evaluations(several, dataset="other").of("eval-labels")
    assert list(Evaluations(several, dataset="truth").all()) == ["eval-labels"]


def test_names_of_data_sets() -> None:
    """NAME-parts is the data set NAME; without any ground truth there is none to name."""
    assert dataset_name("voc-parts") == "voc"
    assert named_truth("voc", {"truth": "truth-parts"}, "voc") == "truth-parts"
    with pytest.raises(UsageError, match="The pipeline has no ground truth: leave --dataset out"):
        named_truth("voc", {}, "voc")
    assert scored_nodes(pipeline()["eval-labels"]) == ["labels"]


def test_metrics_come_in_the_order_of_reading() -> None:
    """The number of samples and the mIoUs, then other metrics, then recall by rising number of proposals."""
    metrics = ["AR@100", "AR@20-unique", "AR@20", "IoU", "A-mIoU", "AR@1", "C-mIoU", "samples"]
    ordered = ["samples", "C-mIoU", "A-mIoU", "IoU", "AR@1", "AR@20", "AR@100", "AR@20-unique"]
    assert sorted(metrics, key=metric_place) == ordered


def test_a_ledger_holds_the_steps_that_led_to_a_result() -> None:
    """The result's own objects, the segments in their order, the labels and the result; other objects' are left out."""
    more = {
        "detic_human": {"stage": "detic", "inputs": IMAGES, "settings": {"mode": "human-only", "backend": "saliency"}},
        "grouping_human": {"stage": "grouping", "inputs": {**IMAGES, "objects": "detic-human"}},
        "crf": {"inputs": {**IMAGES, "parts": "grouping"}},
        "proposal_train": {"inputs": {**IMAGES, "parts": ["crf", "grouping-human"]}},
        "proposals": {"inputs": {**IMAGES, "model": "proposal-train"}},
        "second": {
            "stage": "labels",
            "inputs": {**IMAGES, "objects": "detic", "segments": "proposals", "clusters": "ranking"},
        },
        "distill_train": {"inputs": {**IMAGES, "labels": "second"}},
        "distill": {"stage": "predict", "inputs": {**IMAGES, "model": "distill-train"}},
    }
    more["grouping_human"]["settings"] = {"backend": "pixels"}
    ((name, spec),) = Evaluations(pipeline(**more)).ledgers().items()
    assert (name, spec.stage) == ("losses-distill", "losses")
    assert spec.inputs == {
        "images": ("ingest",),
        "truth": ("truth-parts",),
        "objects": ("detic",),
        "segments": ("grouping", "crf"),
        "labels": ("second",),
        "predicted": ("distill",),
    }


def test_a_pipelines_own_ledger_is_used() -> None:
    """By its name, by that of its result, or without any name; a result without a ledger gets a new one."""
    inputs = {**IMAGES, "truth": "truth-parts", "objects": "detic", "segments": "grouping", "labels": "labels"}
    evaluations = Evaluations(pipeline(mine={"stage": "losses", "inputs": inputs}))
    assert list(evaluations.ledgers()) == ["mine"]
    assert evaluations.ledgers(["labels"]) == evaluations.ledgers(["mine"]) == evaluations.ledgers()
    assert list(evaluations.ledgers(["grouping"])) == ["losses-grouping"]


def test_what_has_no_ledger_is_refused() -> None:
    """Objects are no parts; of two results one has to be named."""
    with pytest.raises(UsageError, match="'detic' .* is neither a ledger of losses nor a node that finds parts"):
        Evaluations(pipeline()).ledgers(["detic"])
    segments = {**IMAGES, "objects": "detic", "segments": "grouping", "clusters": "ranking"}
    two = pipeline(others={"stage": "labels", "inputs": segments})
    with pytest.raises(UsageError, match=r"several results: labels, others\. .*pd eval NODE --losses"):
        Evaluations(two).ledgers()


def test_segments_that_were_smoothed_are_not_the_last_result() -> None:
    """Of two nodes of segments, the one that reads the other is the last; its objects are those of the first."""
    without = ("candidates", "ranking", "labels", "eval-labels")
    smoothed = {"inputs": {**IMAGES, "parts": "grouping"}}
    ((name, spec),) = Evaluations(pipeline(*without, crf=smoothed)).ledgers().items()
    assert name == "losses-crf" and "labels" not in spec.inputs
    assert spec.inputs["segments"] == ("grouping", "crf") and spec.inputs["objects"] == ("detic",)


def test_proxies_measure_what_led_to_a_result() -> None:
    """The grouping with the network and the objects that it read, and the ranking behind the labels."""
    network = {"stage": "segmenter-train", "inputs": {**IMAGES, "objects": "truth-objects"}}
    divided = {"inputs": {**IMAGES, "objects": "detic", "model": "network"}}
    ((name, spec),) = Evaluations(pipeline(network=network, grouping=divided)).proxies().items()
    assert (name, spec.stage, spec.settings) == ("proxies-labels", "proxies", {})
    assert spec.inputs == {
        "images": ("ingest",),
        "objects": ("detic",),
        "model": ("network",),
        "segments": ("grouping",),
        "candidates": ("candidates",),
        "clusters": ("ranking",),
    }
    assert "clusters" not in Evaluations(pipeline()).proxies(["grouping"])["proxies-grouping"].inputs


def test_proxies_need_no_ground_truth_and_take_over_the_weights() -> None:
    """A backbone of one's own is the same for what is measured."""
    auto = {"inputs": {**IMAGES, "objects": "detic"}, "settings": {"backend": "auto", "weights": "facebook/dino@1"}}
    without = ("truth-parts", "truth-objects", "eval-labels")
    assert Evaluations(pipeline(*without, grouping=auto)).proxies()["proxies-labels"].settings == {
        "weights": "facebook/dino@1"
    }


def test_a_pipelines_own_proxies_are_used() -> None:
    """By their name, by that of their result, or without any name."""
    inputs = Evaluations(pipeline()).proxies()["proxies-labels"].inputs
    evaluations = Evaluations(pipeline(mine={"stage": "proxies", "inputs": inputs}))
    assert list(evaluations.proxies()) == list(evaluations.proxies(["labels"])) == ["mine"]
    assert evaluations.proxies(["mine"]) == evaluations.proxies()


def test_what_has_no_proxies_is_refused() -> None:
    """Objects, results of neither grouping nor ranking, and a name that is taken."""
    with pytest.raises(UsageError, match=r"'detic' \(stage detic\) neither measures proxies nor finds parts"):
        Evaluations(pipeline()).proxies(["detic"])
    imported = {"stage": "original-parts", "inputs": IMAGES, "settings": {"folder": "theirs"}}
    with pytest.raises(UsageError, match="neither a grouping nor a ranking led to theirs"):
        Evaluations(pipeline(theirs=imported)).proxies(["theirs"])
    taken = {"stage": "crf", "inputs": {**IMAGES, "parts": "grouping"}}
    with pytest.raises(UsageError, match="a node proxies-labels that does not measure what led to labels"):
        Evaluations(pipeline(proxies_labels=taken)).proxies(["labels"])
