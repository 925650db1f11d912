"""``pd plan``: which units would run, and why."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Pd, assert_error, committed, draw


def test_plan_and_status_agree_on_what_is_missing(pd: Pd, store: Path) -> None:
    """`pd plan` names the units that `pd status` does not count as done."""
    pd("run", "--until", "detic")
    plan, status = json.loads(pd("plan", "--json").out)["nodes"], json.loads(pd("status", "--json").out)["nodes"]
    assert plan["detic"]["run"] == [] and status["detic"]["state"] == "done" and status["detic"]["done"] == [0, 1, 2]
    assert plan["crf"]["run"] == [0, 1, 2] == plan["crf"]["waiting"] and status["crf"]["state"] == "not started"
    assert "after its inputs" in pd("plan").out
    assert "grouping" in pd("status").out


def test_plan_tries_overrides_without_recording_them(pd: Pd, store: Path) -> None:
    """`pd plan node.key=value` says which nodes would run again and what changed."""
    pd("run", "--until", "grouping")
    before = committed(store)
    why = json.loads(pd("plan", "detic.min_score=0.1", "--json").out)["nodes"]
    assert why["ingest"]["why"] == "" and why["detic"]["why"] == "settings changed: detic.min_score: 0.0 -> 0.1"
    assert why["grouping"]["why"].startswith(why["detic"]["why"])
    assert committed(store) == before


def test_a_finished_pipeline_has_no_plan(pd: Pd, store: Path) -> None:
    """When every node is done, stdout stays empty and a line says so."""
    (row,) = [line for line in pd("plan").out.splitlines() if line.startswith("ingest")]
    assert row.split() == ["ingest", "3", "0-2", "3", "not", "computed", "yet"]
    assert pd("run").code == 0
    result = pd("plan")
    assert (result.code, result.out, result.err) == (0, "", "Nothing to run: every node is done.\n")


def test_new_images_make_a_barrier_stale(pd: Pd, store: Path, photos: Path) -> None:
    """Ranking was computed from fewer images than there are now: the plan names the units and --refresh."""
    assert pd("run").code == 0
    draw(photos / "cat" / "later.png", 3)
    assert pd("init", store, "--images", photos, "--add").code == 0
    assert pd("run", "--until", "candidates").code == 0
    entry = json.loads(pd("plan", "--json").out)["nodes"]["ranking"]
    assert (entry["run"], entry["stale"]) == ([], [0])
    assert entry["why"] == "input changed for 1 committed units: add --refresh to recompute them"


def test_a_node_is_not_an_override(pd: Pd, store: Path) -> None:
    """The error names the word and the command that plans one node."""
    assert_error(pd("plan", "crf"), 2, "expected node.key=value, found 'crf'", "pd stage run NODE --dry-run")


def test_costs_of_a_store_and_of_imagenet(pd: Pd, store: Path) -> None:
    """`--cost` prices what lacks by what is committed; a node without a commit is a question mark and in no sum."""
    pd("run", "--until", "detic")
    text = pd("plan", "--cost")
    assert text.code == 0 and "this store, h" in text.out and "ImageNet-21K, GB" in text.out
    (row,) = [line for line in text.out.splitlines() if line.startswith("crf ")]
    assert row.split() == ["crf", "no", *"??????"] and "crf: not measured: no unit is committed" in text.err
    (row,) = [line for line in text.out.splitlines() if line.startswith("ImageNet-1K ")]
    assert "1281167" in row and row.endswith("grouping, crf, candidates, ranking")
    values = json.loads(pd("plan", "--cost", "--json").out)
    nodes, sums = values["cost"]["nodes"], values["cost"]["totals"]
    assert values["nodes"]["detic"]["run"] == [] and nodes["detic"]["left"] == {"hours": 0.0, "gigabytes": 0.0}
    assert nodes["detic"]["rate"]["seconds"] * 1_281_167 / 3600 == nodes["detic"]["whole"]["ImageNet-1K"]["hours"]
    assert sums["ImageNet-1K"]["hours"] >= nodes["detic"]["whole"]["ImageNet-1K"]["hours"]
    assert sums["this store"]["not_measured"] == ["grouping", "crf", "candidates", "ranking"]


def test_a_rehearsal_measures_what_is_not_committed(pd: Pd, store: Path) -> None:
    """`--rehearse` computes a few images of each node; nothing of it is in the store."""
    before = committed(store)
    result = pd("plan", "--cost", "--rehearse", "--json")
    nodes = json.loads(result.out)["cost"]["nodes"]
    assert "Rehearsing crf on 2 images …" in result.err
    assert nodes["crf"]["rate"]["basis"] == "rehearsal of 2 images" and nodes["crf"]["left"]["hours"] > 0
    assert nodes["ranking"]["rate"]["seconds"] is None
    assert committed(store) == before
    assert_error(pd("plan", "--rehearse"), 2, "--rehearse", "Add --cost")
