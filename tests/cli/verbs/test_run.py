"""``pd run``: what it computes, records and refuses."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Pd, assert_error, committed


def test_run_computes_what_is_missing_and_nothing_twice(pd: Pd, store: Path) -> None:
    """`pd run --until` runs a node and everything it needs; a second run finds all of it done."""
    assert pd("run", "--until", "grouping").code == 0
    before = committed(store)
    again = pd("run", "--until", "grouping")
    assert again.code == 0 and again.err.count("already done") == 3
    assert committed(store) == before
    assert not (store / "layers" / "crf").exists()
    assert pd("run", "crf").code == 0
    assert (store / "layers" / "crf").exists() and not (store / "layers" / "ranking").exists()


def test_dry_run_changes_nothing(pd: Pd, store: Path) -> None:
    """--dry-run shows what would run, but neither runs nor records it."""
    before = committed(store)
    result = pd("run", "--dry-run", "grouping.k=3")
    assert result.code == 0 and "ingest: 3 blocks would run: 0, 1, 2" in result.err
    assert "crf: would run after its inputs" in result.err
    assert committed(store) == before


def test_an_override_before_the_first_run_is_recorded(pd: Pd, store: Path) -> None:
    """Nothing is stale while nothing is committed, so the new setting simply holds from now on."""
    assert pd("run", "--until", "grouping", "grouping.k=3").code == 0
    assert pd("run", "--until", "grouping").err.count("already done") == 3


def test_an_unknown_node(pd: Pd, store: Path) -> None:
    """Every verb that takes nodes names the nearest one in its error."""
    for words in (
        ("stage", "run", "groping"),
        ("run", "groping"),
        ("run", "groping.k=3"),
        ("config", "show", "groping"),
    ):
        assert_error(pd(*words), 2, "the pipeline has no node 'groping'", "Did you mean 'grouping'?")


def test_an_unknown_setting(pd: Pd, store: Path) -> None:
    """The error names the path, the nearest setting, and where to see them all."""
    before = committed(store)
    result = pd("run", "grouping.kk=3")
    assert_error(result, 2, "grouping.kk: unknown setting. Did you mean 'k'?", "pd config show grouping")
    assert pd("config", "show", "grouping").code == 0
    assert committed(store) == before


def test_an_override_without_a_setting(pd: Pd, store: Path) -> None:
    """The error shows the form of an override."""
    assert_error(pd("run", "grouping=3"), 2, "expected node.setting=value, found 'grouping=3'", "grouping.k=5")


@pytest.mark.parametrize("words", [("stage", "run", "grouping"), ("run",)])
def test_changed_settings_over_committed_units(pd: Pd, store: Path, words: tuple[str, ...]) -> None:
    """The exit code is 3; the error shows the difference and the three ways to continue."""
    pd("run", "--until", "grouping")
    before = committed(store)
    result = pd(*words, "grouping.k=3")
    assert_error(result, 3, "grouping: ", "k: 2 -> 3", "(1)", "--new-layer", "pd gc --layer")
    assert committed(store) == before


def test_settings_changed_upstream(pd: Pd, store: Path) -> None:
    """What a node reads is part of its identity: the error names the settings that changed, however far up."""
    pd("run", "--until", "crf")
    assert pd("stage", "run", "detic", "detic.min_score=0.1", "--new-layer").code == 0
    assert pd("stage", "run", "grouping", "grouping.k=3", "--new-layer").code == 0
    result = pd("run", "crf")
    assert_error(result, 3, "crf: ", "under others: grouping.k: 2 -> 3; detic.min_score: 0.0 -> 0.1")
    assert "pd config set grouping.KEY=VALUE detic.KEY=VALUE" in result.err and "upstream" not in result.err
    # Once the layer that was read is gone, its settings are unknown.
    shutil.rmtree(store / "layers" / "grouping")
    assert_error(pd("run", "crf"), 3, "crf upstream parts: ")


def test_fewer_points_than_clusters(pd: Pd, store: Path) -> None:
    """A class with too few segments is a row in errors, and never has random centroids."""
    assert pd("run", "--max-error-rate", "1", "ranking.k=500").code == 0
    rows = pd("sql", "SELECT subject, reason FROM errors WHERE node = 'ranking' ORDER BY 1", "--format", "csv").out
    assert rows.splitlines()[1:] == ["cat,too_few_points", "dog,too_few_points"]
    assert pd("sql", "SELECT count(*) FROM clusters", "--format", "csv").out.splitlines()[1] == "0"


def test_a_full_disk(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that the disk is full; nothing committed is lost, and the same command continues later."""
    pd("stage", "run", "ingest", "--shard", "1/3")
    before = committed(store)

    def full(path: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    with monkeypatch.context() as patched:
        patched.setattr("pdstore.files.local.write_synced", full)
        assert_error(pd("run", "ingest"), 1, "the disk is full: there is no space left", "Free some space")
    assert committed(store) == before
    assert pd("run", "ingest").code == 0 and pd("verify").code == 0


def test_units_that_failed_do_not_count_as_images_that_are_done(pd: Pd, store: Path, photos: Path) -> None:
    """When the images are gone, the node's line says that no image is done and how many units failed."""
    assert pd("run", "ingest").code == 0
    for path in photos.rglob("*.*"):
        path.unlink()
    result = pd("run", "detic")
    assert result.code == 1 and "6/6 images" not in result.err
    (line,) = [line for line in result.err.splitlines() if line.startswith("detic: 0/6 images in ")]
    assert line.endswith(", 3 failed")


def test_optional_nodes_run_only_if_they_are_named(pd: Pd, photos: Path, tmp_path: Path) -> None:
    """`pd run` goes to the labels of no_weights; its training runs if it is named or needed."""
    store = tmp_path / "own"
    assert pd("init", store, "--images", photos, "proposal-train.steps=2").code == 0
    result = pd("--store", store, "run", "--dry-run")
    assert "grouping" in result.err and "proposal" not in result.err
    named = pd("--store", store, "run", "--dry-run", "--until", "proposals")
    assert "proposal-train" in named.err and "ranking" not in named.err
    why = json.loads(pd("--store", store, "plan", "--json").out)["nodes"]["proposal-train"]["why"]
    assert "optional: only if it is named" in why


def test_nodes_that_ask_one_network_run_in_one_pass(pd: Pd, pair: Path) -> None:
    """They have one line of progress, though others stand between them; done ones are told apart."""
    result = pd("run", "detic", "grouping", "sure")
    assert result.code == 0 and result.err.splitlines()[0].startswith("detic + sure: 6/6 images in ")
    states = {name: node["state"] for name, node in json.loads(pd("status", "--json").out)["nodes"].items()}
    assert [states[name] for name in ("detic", "sure", "grouping")] == ["done"] * 3
    shutil.rmtree(pair / "layers" / "sure")
    again = pd("run", "detic", "sure").err
    assert "sure: 6/6 images in " in again and "detic + sure" not in again and "detic: already done" in again


def test_a_dry_run_lists_each_node_of_a_pass(pd: Pd, pair: Path) -> None:
    """The units of both are listed, or that both run after their inputs."""
    assert pd("run", "detic", "sure", "--dry-run").err.splitlines()[:2] == [
        "detic: 3 blocks would run: 0, 1, 2",
        "sure: 3 blocks would run: 0, 1, 2",
    ]
    shutil.rmtree(pair / "layers" / "ingest")
    result = pd("run", "detic", "sure", "--dry-run")
    assert [line.partition(" (")[0] for line in result.err.splitlines()] == [
        "detic: would run after its inputs",
        "sure: would run after its inputs",
    ]
