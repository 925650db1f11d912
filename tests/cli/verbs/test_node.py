"""``pd node``: nodes that are added to the pipeline of a store."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Pd, assert_error, committed

ADD = ("node", "add", "weak", "--stage", "crf", "--input", "images=ingest", "--input", "parts=grouping")


def test_an_added_node_runs_beside_the_others(pd: Pd, store: Path) -> None:
    """Nothing that is committed changes, the next run computes the new node alone, and its rows are in SQL."""
    assert pd("run").code == 0
    layers = {path: digest for path, digest in committed(store).items() if path.startswith("layers")}
    added = pd(*ADD, "weak.iterations=1")
    assert added.code == 0 and "weak: none -> " in added.err and "pd run --until weak" in added.err
    assert "views show" not in added.err
    ran = pd("run")
    assert ran.code == 0 and ran.err.count("already done") == 6
    assert layers.items() <= committed(store).items()
    answer = json.loads(pd("sql", "SELECT count(*) AS n FROM parts WHERE node = 'weak'", "--format", "json").out)
    assert answer[0]["n"] > 0


def test_a_node_that_does_not_fit_is_not_recorded(pd: Pd, store: Path) -> None:
    """The error names the key and the nearest name, and the store stays as it was."""
    before = committed(store)
    assert_error(pd(*ADD, "weak.iteration=1"), 2, "weak.iteration: unknown setting. Did you mean 'iterations'")
    assert_error(pd("node", "add", "weak", "--stage", "cfr"), 2, "there is no stage 'cfr'. Did you mean 'crf'")
    assert_error(pd(*ADD, "--input", "masks"), 2, "expected role=node, found 'masks'", "It reads: images, parts")
    assert_error(pd(*ADD, "iterations"), 2, "expected node.key=value, found 'iterations'")
    assert committed(store) == before


def test_a_list_of_inputs_may_be_given_either_way(pd: Pd, store: Path) -> None:
    """A role that comes twice is a list, like names with commas between them."""
    assert pd(*ADD).code == 0
    train = ("--stage", "proposal-train", "--input", "images=ingest")
    first = pd("node", "add", "a", *train, "--input", "parts=crf", "--input", "parts=weak")
    second = pd("node", "add", "b", *train, "--input", "parts=crf,weak")
    assert first.code == second.code == 0, first.err + second.err
    nodes = json.loads((store / "pipeline.json").read_text())["spec"]["nodes"]
    assert nodes["a"]["inputs"] == nodes["b"]["inputs"] and nodes["a"]["inputs"]["parts"] == ["crf", "weak"]
