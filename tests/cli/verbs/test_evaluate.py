"""``pd eval`` on six pictures of a disc with two halves, four of them for training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli.main import run_command
from tests.cli.conftest import SIZE_PX, Pd, committed, draw

PIPELINE = """
block_size: 2
nodes:
  ingest: {}
  truth-parts: {stage: annotated-parts, inputs: {images: ingest}, settings: {file: "{images}/truth.json"}}
  truth-objects: {stage: annotated-objects, inputs: {images: ingest}, settings: {file: "{images}/truth.json"}}
  detic: {inputs: {images: ingest}, settings: {backend: saliency}}
  grouping:
    inputs: {images: ingest, objects: detic}
    settings: {backend: pixels, metric: l2, k: 2}
  candidates: {inputs: {images: ingest, objects: detic, segments: grouping}, settings: {min_score: 0.0}}
  ranking: {inputs: {candidates: candidates}, settings: {k: 2, metric: l2}}
  labels: {inputs: {images: ingest, objects: detic, segments: grouping, clusters: ranking}, settings: {metric: l2}}
  eval-labels:
    stage: eval
    inputs: {images: ingest, truth: truth-parts, truth_objects: truth-objects, predicted: labels}
"""
SECOND = """
  other-parts: {stage: annotated-parts, inputs: {images: ingest}, settings: {file: "{images}/truth.json"}}
"""


def annotations(keys: list[str]) -> dict[str, Any]:
    """The upper and the lower half of each disc, as PartImageNet names parts."""
    halves = ("Disc top", [8, 10, 34, 10, 34, 23, 8, 23]), ("Disc bottom", [8, 23, 34, 23, 34, 36, 8, 36])
    return {
        "images": [{"id": i, "file_name": key, "height": SIZE_PX, "width": SIZE_PX} for i, key in enumerate(keys)],
        "categories": [{"id": c, "name": name, "supercategory": "Disc"} for c, (name, _) in enumerate(halves)],
        "annotations": [
            {"image_id": i, "category_id": c, "segmentation": [polygon]}
            for i in range(len(keys))
            for c, (_, polygon) in enumerate(halves)
        ],
    }


def build(folder: Path, pipeline: str) -> Path:
    """A store on which everything but the evaluations has run."""
    photos, store = folder / "photos", folder / "store"
    keys = [f"{'val' if number > 3 else 'train'}/n00000001/{number}.JPEG" for number in range(6)]
    for number, key in enumerate(keys):
        draw(photos / key, number)
    (photos / "labels.txt").write_text("n00000001,disc\n")
    (photos / "truth.json").write_text(json.dumps(annotations(keys)))
    (folder / "pipeline.yaml").write_text(pipeline)
    truths = [name for name in ("truth-objects", "other-parts", "truth-parts") if f"{name}:" in pipeline]
    init = ["init", str(store), "--images", str(photos), "--preset", str(folder / "pipeline.yaml")]
    found = ("detic", "grouping", "candidates", "ranking", "labels")
    for words in (init, ["--store", str(store), "run", "ingest", *truths, *found]):
        assert run_command(words) == 0
    return store


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built"), PIPELINE)


@pytest.fixture
def made(_built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that store; PD_STORE names it."""
    monkeypatch.setenv("PD_STORE", str(shutil.copytree(_built, tmp_path / "copy")))
    return tmp_path / "copy"


def nodes(pd: Pd, *words: object) -> dict[str, list[dict[str, Any]]]:
    result = pd("eval", *words, "--json")
    assert result.code == 0, result.err
    by_node: dict[str, list[dict[str, Any]]] = json.loads(result.out)["nodes"]
    return by_node


def whole(rows: list[dict[str, Any]], protocol: str = "honest") -> dict[str, float]:
    return {r["metric"]: r["value"] for r in rows if r["protocol"] == protocol and not r["class_name"]}


def test_without_a_node_the_pipelines_evaluations(pd: Pd, made: Path) -> None:
    """`pd eval` runs and prints the evaluations of the pipeline, under the protocol that each one sets."""
    by_node = nodes(pd)
    assert set(by_node) == {"eval-labels"}
    assert {r["protocol"] for r in by_node["eval-labels"]} == {"honest"}
    assert 50 < whole(by_node["eval-labels"])["C-mIoU"] <= 100 and whole(by_node["eval-labels"])["samples"] == 2


def test_a_node_leads_to_the_evaluation_that_reads_it(pd: Pd, made: Path) -> None:
    """`pd eval NODE` of a node that an evaluation reads adds nothing to the pipeline."""
    assert nodes(pd, "labels") == nodes(pd, "eval-labels")
    assert "already done" in pd("eval", "labels").err


def test_a_node_without_an_evaluation_gets_one(pd: Pd, made: Path) -> None:
    """Segments are scored by recall, overlapping and not; the new node is in the pipeline and its rows in metrics."""
    by_node = nodes(pd, "grouping")
    numbers = whole(by_node["eval-grouping"])
    assert set(by_node) == {"eval-grouping"} and "C-mIoU" not in numbers
    assert numbers["AR@200"] == numbers["AR@200-unique"] > 0
    query = "SELECT value FROM metrics WHERE node = 'eval-grouping' AND metric = 'AR@200-unique'"
    assert json.loads(pd("sql", query, "--format", "json").out) == [{"value": numbers["AR@200-unique"]}]
    assert "eval-grouping" in json.loads(pd("status", "--json").out)["nodes"]
    assert "grouping, one label per pixel" in pd("eval").out


def test_another_protocol_is_a_separate_node(pd: Pd, made: Path) -> None:
    """Numbers under another protocol do not make the existing ones stale."""
    before = nodes(pd)
    both = nodes(pd, "labels", "--protocol", "both")
    assert set(both) == {"eval-labels-both"}
    rows = both["eval-labels-both"]
    assert whole(rows) == whole(before["eval-labels"]) and whole(rows, "reference")["samples"] == 6
    assert nodes(pd, "eval-labels") == before
    only = nodes(pd, "eval-labels-both", "--protocol", "reference")
    assert {r["protocol"] for r in only["eval-labels-both"]} == {"reference"}
    assert set(nodes(pd, "labels", "--protocol", "reference")) == {"eval-labels-both"}
    assert set(nodes(pd, "detic", "eval-labels", "--protocol", "reference")) == {"eval-detic", "eval-labels-reference"}


def test_settings_of_a_new_evaluation_can_be_given(pd: Pd, made: Path) -> None:
    """NODE.KEY=VALUE reaches the node that is about to be added."""
    rows = nodes(pd, "detic", "eval-detic.ar_limits=[3]", "eval-detic.processes=2")["eval-detic"]
    assert {n for n in whole(rows) if n.startswith("AR@")} == {"AR@3"}


def test_a_data_set_is_chosen_by_its_name(pd: Pd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several data sets, one must be named; each gets evaluations of its own."""
    monkeypatch.setenv("PD_STORE", str(build(tmp_path, PIPELINE + SECOND)))
    result = pd("eval", "grouping")
    assert result.code == 2 and "several data sets: other, truth" in result.err and "--dataset NAME" in result.err
    assert set(nodes(pd, "grouping", "--dataset", "truth")) == {"eval-grouping-truth"}
    by_node = nodes(pd, "grouping", "--dataset", "other")
    assert set(by_node) == {"eval-grouping-other"}
    assert set(nodes(pd, "--dataset", "truth")) == {"eval-labels", "eval-grouping-truth"}
    wrong = pd("eval", "eval-labels", "--dataset", "other")
    assert wrong.code == 2 and "against truth-parts, not against other-parts" in wrong.err
    assert "Did you mean 'other'?" in pd("eval", "grouping", "--dataset", "othr").err


def test_what_cannot_be_evaluated_is_refused(pd: Pd, made: Path) -> None:
    """The error says what can be evaluated, and nothing is recorded."""
    before = committed(made)
    for name, word in (("ranking", "a node that finds masks"), ("truth-parts", "a node that finds masks")):
        result = pd("eval", name)
        assert result.code == 2 and word in result.err and name in result.err
    assert "Did you mean 'labels'?" in pd("eval", "label").err
    assert pd("eval", "grouping", "--dry-run").code == 0
    assert pd("eval", "labels", "--protocol", "published").code == 2
    assert committed(made) == before


def test_without_ground_truth_there_is_no_evaluation(pd: Pd, store: Path) -> None:
    """The error says which node to add."""
    result = pd("eval", "grouping")
    assert result.code == 2 and "annotated-parts" in result.err
    assert "pd eval NODE" in pd("eval").err


def test_the_published_protocol_needs_true_objects(pd: Pd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says so before anything runs."""
    lines = [line for line in PIPELINE.splitlines() if "truth-objects:" not in line]
    pipeline = "\n".join(lines).replace("truth_objects: truth-objects, ", "")
    monkeypatch.setenv("PD_STORE", str(build(tmp_path, pipeline)))
    for words in (["grouping"], ["labels"]):
        result = pd("eval", *words, "--protocol", "both")
        assert result.code == 2 and "annotated-objects" in result.err and "--protocol honest" in result.err
    assert pd("eval", "labels").code == 0


def test_splits_without_truth_are_an_error(pd: Pd, made: Path) -> None:
    """If no image votes, or no image is scored, that is an error rather than a score of zero."""
    for splits in (["vote_split=test"], ["vote_split=train", "test_split=test"]):
        result = pd("eval", "detic", *(f"eval-detic.{split}" for split in splits))
        assert result.code == 2 and splits[-1].split("=")[0] in result.err
        assert (
            "no image of split 'test' has ground truth of its class" in result.err
            and "protocol=reference" in result.err
        )


def test_losses_are_found_step_by_step(made: Path, pd: Pd) -> None:
    """A node losses-labels is added and run once; its losses add up, and the last mIoU is that of the evaluation."""
    result = pd("eval", "--losses", "--json")
    assert result.code == 0, result.err
    by_node = json.loads(result.out)["nodes"]
    assert list(by_node) == ["losses-labels"]
    rows = by_node["losses-labels"]["losses"]
    assert [(r["step"], r["evaluated"]) for r in rows] == [
        ("objects", "detic"),
        ("division", "grouping"),
        ("choice", "labels"),
        ("naming", "labels"),
    ]
    assert sum(r["lost"] for r in rows) == pytest.approx(100 - rows[-1]["miou"])
    assert rows[-1]["miou"] == pytest.approx(whole(nodes(pd, "labels")["eval-labels"])["C-mIoU"])
    again = pd("eval", "--losses")
    assert again.code == 0 and "losses-labels: already done" in again.err and "division" in again.out


def test_losses_of_an_earlier_step_end_there(made: Path, pd: Pd) -> None:
    """A node that finds segments has a ledger of its own; the published protocol has none."""
    by_node = json.loads(pd("eval", "grouping", "--losses", "--json").out)["nodes"]
    assert [r["step"] for r in by_node["losses-grouping"]["losses"]] == ["objects", "division"]
    refused = pd("eval", "--losses", "--protocol", "reference")
    assert refused.code == 2 and "--losses is by the honest protocol alone" in refused.err
    assert pd("eval", "ingest", "--losses").code == 2


def test_proxies_are_measured_once_without_ground_truth(made: Path, pd: Pd) -> None:
    """A node proxies-labels is added and run; it stands alone, beside no other kind of evaluation."""
    result = pd("eval", "--proxies", "--json")
    assert result.code == 0, result.err
    ((name, rows),) = json.loads(result.out)["nodes"].items()
    assert name == "proxies-labels"
    overall = {(r["step"], r["proxy"]): r for r in rows if not r["class_name"]}
    assert overall["division", "mirror"]["evaluated"] == "grouping" and overall["division", "mirror"]["samples"] == 6
    assert overall["naming", "seeds"]["evaluated"] == "ranking"
    assert all(-1 <= row["value"] <= 1 for row in rows)
    again = pd("eval", "--proxies")
    assert again.code == 0 and "proxies-labels: already done" in again.err and "mirror" in again.out
    refused = pd("eval", "--proxies", "--losses")
    assert refused.code == 2 and "--proxies needs no ground truth" in refused.err
