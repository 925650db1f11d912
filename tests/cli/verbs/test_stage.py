"""``pd stage list`` and ``pd stage run``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Pd, assert_error, committed


def test_stage_list_shows_nodes_or_stages(
    pd: Pd, photos: Path, pipeline_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside a store the stages are listed; inside one (here the current folder), its nodes and their state."""
    assert "proposal-train" in pd("stage", "list").out
    pd("init", tmp_path / "s", "--images", photos, "--preset", pipeline_file)
    monkeypatch.chdir(tmp_path / "s")
    assert "not started" in pd("stage", "list").out


def test_shards_and_limit_divide_the_units(pd: Pd, store: Path) -> None:
    """--shard takes the units of one part, --limit at most so many units."""
    assert pd("stage", "run", "ingest", "--shard", "2/3").code == 0
    assert json.loads(pd("status", "--json").out)["nodes"]["ingest"]["done"] == [1]
    assert "nothing to do in shard 9/9" in pd("stage", "run", "ingest", "--shard", "9/9").err
    assert pd("stage", "run", "ingest", "--limit", "1").code == 0
    assert len(json.loads(pd("status", "--json").out)["nodes"]["ingest"]["done"]) == 2


def test_a_new_layer_keeps_the_first_and_becomes_the_current_one(pd: Pd, store: Path) -> None:
    """With --new-layer both layers are in SQL; the new settings are recorded."""
    pd("run", "--until", "grouping")
    assert pd("stage", "run", "grouping", "grouping.k=3", "--new-layer").code == 0
    counts = "SELECT count(DISTINCT layer) AS n FROM {}"
    assert json.loads(pd("sql", counts.format("parts"), "--format", "json").out) == [{"n": 1}]
    assert json.loads(pd("sql", counts.format("parts_all"), "--format", "json").out) == [{"n": 2}]
    assert json.loads(pd("config", "show", "grouping", "--json").out)["grouping"]["k"]["value"] == 3


def test_an_operational_override_holds_for_one_run(pd: Pd, store: Path) -> None:
    """A setting that changes no result is never stale, and is not recorded."""
    pd("run", "--until", "detic")
    assert pd("stage", "run", "detic", "detic.batch_size=3").code == 0
    assert json.loads(pd("config", "show", "detic", "--json").out)["detic"]["batch_size"]["value"] == 16


@pytest.mark.parametrize(
    ("shard", "found"),
    [("0/10", "found 0/10"), ("11/10", "found 11/10"), ("3-10", "found '3-10'"), ("", "found ''")],
)
def test_a_shard_that_is_not_valid(pd: Pd, store: Path, shard: str, found: str) -> None:
    """The error says that shards are counted from 1."""
    result = pd("stage", "run", "ingest", "--shard", shard)
    assert_error(result, 2, "--shard: expected k/n", found, "counted from 1")


def test_a_missing_input(pd: Pd, store: Path) -> None:
    """The error says which node to run."""
    before = committed(store)
    assert_error(pd("stage", "run", "grouping"), 1, "grouping: ", "input ingest", "pd stage run ingest")
    assert pd("run", "ingest").code == 0
    assert_error(pd("stage", "run", "grouping"), 1, "grouping: ", "input detic", "pd stage run detic")
    assert {k: v for k, v in committed(store).items() if k in before} == before


def test_an_incomplete_input_of_a_barrier(pd: Pd, store: Path) -> None:
    """Ranking needs every block of its input: the error names those that are missing, and --allow-partial."""
    pd("run", "--until", "crf")
    pd("stage", "run", "candidates", "--limit", "2")
    result = pd("stage", "run", "ranking")
    assert_error(result, 1, "ranking: ", "all 3 units of candidates", "1 are missing (2)", "pd stage run candidates")
    assert "--allow-partial" in result.err
    assert pd("stage", "run", "ranking", "--allow-partial", "--max-error-rate", "1").code == 0


def test_several_nodes_are_run_in_one_pass_or_refused(pd: Pd, pair: Path) -> None:
    """Nodes that do not share a pass are refused, with what to do; those that do take shards like any node."""
    assert_error(
        pd("stage", "run", "detic", "grouping"), 2, "detic and grouping cannot be computed in one pass", "pd run"
    )
    assert_error(pd("stage", "run", "detic", "surely"), 2, "no node 'surely'", "Did you mean 'sure'?")
    result = pd("stage", "run", "detic", "sure", "--shard", "2/3")
    assert result.code == 0 and "detic + sure: 2/2 images in " in result.err
    nodes = json.loads(pd("status", "--json").out)["nodes"]
    assert nodes["detic"]["done"] == nodes["sure"]["done"] == [1]
