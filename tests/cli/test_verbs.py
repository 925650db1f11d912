"""Every verb, on a store of six pictures."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cli.main import run_command
from tests.cli.conftest import Pd, committed, draw


def test_init_says_what_it_found_and_what_to_do_next(pd: Pd, photos: Path, pipeline_file: Path, tmp_path: Path) -> None:
    """`pd init` prints images, classes, blocks, nodes and the next command."""
    result = pd("init", tmp_path / "new", "--images", photos, "--preset", pipeline_file, "grouping.k=3")
    assert result.code == 0
    found = dict(line.split(None, 1) for line in result.out.splitlines())
    assert found["images"] == "6" and found["classes"] == "2 (cat, dog)" and found["blocks"].startswith("3 ")
    assert found["nodes"] == "ingest, detic, grouping, crf, ranking"
    assert found["next"] == f"pd --store {tmp_path / 'new'} run"


def test_init_add_opens_new_blocks(pd: Pd, store: Path, photos: Path) -> None:
    """Images that are added later open new blocks; nothing is added twice."""
    draw(photos / "cat" / "later.png", 3)
    assert "added       1 images" in pd("init", store, "--images", photos, "--add").out
    result = pd("init", store, "--images", photos, "--add")
    assert "added       0 images" in result.out and "blocks      4 " in result.out


def test_run_computes_what_is_missing_and_nothing_twice(pd: Pd, store: Path) -> None:
    """`pd run --until` runs a node and all that it needs; again it finds all of it done."""
    assert pd("run", "--until", "grouping").code == 0
    before = committed(store)
    again = pd("run", "--until", "grouping")
    assert again.code == 0 and again.err.count("done already") == 3
    assert committed(store) == before
    assert not (store / "layers" / "crf").exists()
    assert pd("run", "crf").code == 0
    assert (store / "layers" / "crf").exists() and not (store / "layers" / "ranking").exists()


def test_shards_and_limit_divide_the_units(pd: Pd, store: Path) -> None:
    """--shard takes the units of one part, --limit so many at most."""
    assert pd("stage", "run", "ingest", "--shard", "2/3").code == 0
    assert json.loads(pd("status", "--json").out)["nodes"]["ingest"]["done"] == [1]
    assert "nothing to do in shard 9/9" in pd("stage", "run", "ingest", "--shard", "9/9").err
    assert pd("stage", "run", "ingest", "--limit", "1").code == 0
    assert len(json.loads(pd("status", "--json").out)["nodes"]["ingest"]["done"]) == 2


def test_dry_run_changes_nothing(pd: Pd, store: Path) -> None:
    """--dry-run says what would run, and neither runs nor records it."""
    before = committed(store)
    result = pd("run", "--dry-run", "grouping.k=3")
    assert result.code == 0 and "ingest: 3 blocks would run: 0, 1, 2" in result.err
    assert "crf: would run after its inputs" in result.err
    assert committed(store) == before


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


def test_new_layer_stands_beside_the_first_and_becomes_the_current_one(pd: Pd, store: Path) -> None:
    """With --new-layer both layers are in SQL; the new settings are recorded."""
    pd("run", "--until", "grouping")
    assert pd("stage", "run", "grouping", "grouping.k=3", "--new-layer").code == 0
    counts = "SELECT count(DISTINCT layer) AS n FROM {}"
    assert json.loads(pd("sql", counts.format("parts"), "--format", "json").out) == [{"n": 1}]
    assert json.loads(pd("sql", counts.format("parts_all"), "--format", "json").out) == [{"n": 2}]
    assert json.loads(pd("config", "show", "grouping", "--json").out)["grouping"]["k"]["value"] == 3


def test_an_override_before_the_first_run_is_recorded(pd: Pd, store: Path) -> None:
    """Nothing is stale while nothing is committed, so the new setting simply holds from now on."""
    assert pd("run", "--until", "grouping", "grouping.k=3").code == 0
    assert pd("run", "--until", "grouping").err.count("done already") == 3


def test_an_operational_override_holds_for_one_run(pd: Pd, store: Path) -> None:
    """A setting that changes no result is never stale, and is not recorded."""
    pd("run", "--until", "detic")
    assert pd("stage", "run", "detic", "detic.batch_size=3").code == 0
    assert json.loads(pd("config", "show", "detic", "--json").out)["detic"]["batch_size"]["value"] == 16


def test_gc_removes_an_old_layer_and_refuses_the_current(pd: Pd, store: Path) -> None:
    """`pd gc --layer` lists, then with --yes deletes, a layer that the settings no longer lead to."""
    pd("run", "--until", "grouping")
    old = json.loads(pd("status", "--json").out)["nodes"]["grouping"]["layer"]
    refused = pd("gc", "--layer", old, "--yes")
    assert refused.code == 2 and "k=2" in refused.err
    assert pd("config", "set", "grouping.k=3").code == 0
    assert pd("gc", "--layer", old).code == 0 and (store / "layers" / "grouping" / old).exists()
    assert pd("gc", "--layer", old, "--yes").code == 0
    assert not (store / "layers" / "grouping" / old).exists()
    assert pd("run", "grouping").code == 0


def test_gc_removes_what_a_training_would_go_on_from(pd: Pd, store: Path) -> None:
    """With a training's layer go its selections: trained again, it chooses its images anew."""
    pd("run", "ingest")
    old = json.loads(pd("status", "--json").out)["nodes"]["ingest"]["layer"]
    selections = store / "selections"
    selections.mkdir()
    kept = selections / "checkpoints-detic-0.arrow"
    for path in (selections / f"checkpoints-ingest-{old}.arrow", selections / f"checkpoints-ingest-{old}.json", kept):
        path.write_bytes(b"")
    assert pd("config", "set", "ingest.copy=true").code == 0
    assert pd("gc", "--layer", old, "--yes").code == 0
    assert list(selections.iterdir()) == [kept]


def test_gc_lists_attempts_that_no_commit_names(pd: Pd, store: Path) -> None:
    """What a killed worker left is listed once it is old enough, and goes with --yes."""
    pd("run", "ingest")
    layer = next((store / "layers" / "ingest").iterdir())
    (layer / "blocks" / "00000.dead").mkdir()
    (layer / "blocks" / "00000.dead" / "rows.parquet").write_bytes(b"half")
    assert "Nothing" in pd("gc").err
    assert "00000.dead" in pd("gc", "--older-than", "0s").out
    assert pd("gc", "--older-than", "0s", "--yes").code == 0
    assert not (layer / "blocks" / "00000.dead").exists()
    assert pd("gc", "--older-than", "soon").code == 2


def test_verify_finds_damage_and_repairs_it(pd: Pd, store: Path) -> None:
    """A file that was changed is found; --repair has its unit computed again."""
    pd("run", "ingest")
    assert "3 units are sound" in pd("verify").err
    next(store.glob("layers/ingest/*/blocks/00001.*/rows.parquet")).write_bytes(b"rust")
    damaged = pd("verify", "--json")
    assert damaged.code == 1
    assert [d["unit"] for d in json.loads(damaged.out)["damage"]] == [1]
    assert pd("verify", "ingest", "--repair").code == 0
    assert json.loads(pd("plan", "--json").out)["nodes"]["ingest"]["run"] == [1]
    assert pd("run", "ingest").code == 0 and pd("verify").code == 0


def test_sql_prints_four_formats(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table, CSV, JSON and Parquet hold the same rows; - reads the query from stdin."""
    pd("run", "ingest")
    query = "SELECT class_name, count(*) AS n, sum(width) AS w FROM images GROUP BY 1 ORDER BY 1"
    expected = [{"class_name": "cat", "n": 3, "w": 144}, {"class_name": "dog", "n": 3, "w": 144}]
    assert json.loads(pd("sql", query, "--format", "json").out) == expected
    rows = list(csv.DictReader(io.StringIO(pd("sql", query, "--format", "csv").out)))
    assert [(r["class_name"], int(r["n"])) for r in rows] == [("cat", 3), ("dog", 3)]
    assert pd("sql", query).out.splitlines()[0].split() == ["class_name", "n", "w"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(query))
    assert json.loads(pd("sql", "-", "--format", "json").out) == expected


def test_sql_shows_columns_of_one_name_beside_each_other(pd: Pd, store: Path) -> None:
    """No format loses one of them."""
    head, *_, row = pd("sql", "SELECT 1 a, 2 a").out.splitlines()
    assert head.split() == ["a", "a_1"] and row.split() == ["1", "2"]
    assert pd("sql", "SELECT 1 a, 2 a", "--format", "csv").out == "a,a_1\n1,2\n"
    assert json.loads(pd("sql", "SELECT 1 a, 2 a", "--format", "json").out) == [{"a": 1, "a_1": 2}]


def test_sql_writes_parquet_to_a_pipe(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes on stdout are a Parquet file."""
    pd("run", "ingest")
    sink = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(sink))
    assert run_command(["sql", "SELECT * FROM images", "--format", "parquet"]) == 0
    assert pq.read_table(io.BytesIO(sink.getvalue())).num_rows == 6


def test_sql_table_shows_the_first_rows_and_says_so(pd: Pd, store: Path) -> None:
    """A long result is cut, with a line on stderr about the rest; a long value is cut with an ellipsis."""
    result = pd("sql", "SELECT i, repeat('x', 500) AS x FROM range(250) t(i)")
    assert len(result.out.splitlines()) == 102 and "100 of 250 rows" in result.err
    assert "…" in result.out and "x" * 100 not in result.out


def test_show_draws_the_image_and_every_node(pd: Pd, store: Path, tmp_path: Path) -> None:
    """The picture has a column for the image and one for each node with masks; its path goes to stdout."""
    pd("run", "--until", "grouping")
    result = pd("show", "0", "--out", tmp_path / "one.png")
    assert result.code == 0 and result.out.strip() == str(tmp_path / "one.png")
    one = np.asarray(Image.open(tmp_path / "one.png"))
    assert pd("show", "0", "--nodes", "grouping", "--out", tmp_path / "two.png").code == 0
    assert one.shape[1] > np.asarray(Image.open(tmp_path / "two.png")).shape[1]
    assert pd("show", "--sheet", "3", "--out", tmp_path / "sheet.png").code == 0
    assert pd("show", "cat/0.png", "1.png", "--out", tmp_path / "named.png").code == 0


def test_show_says_what_is_wrong(pd: Pd, store: Path) -> None:
    """Before ingest, of an unknown image or node, or of none, `pd show` says what to do."""
    assert "pd stage run ingest" in pd("show", "0").err
    pd("run", "ingest")
    assert pd("show", "77").code == 2
    assert pd("show").code == 2
    assert "Did you mean 'grouping'?" in pd("show", "0", "--nodes", "groupin").err


def test_show_writes_the_format_that_the_name_says(pd: Pd, store: Path, tmp_path: Path) -> None:
    """PNG and JPEG by their endings; another ending, a folder, and one that is not there are usage errors."""
    pd("run", "ingest")
    for name, kind in (("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.jpeg", "JPEG")):
        assert pd("show", "0", "--out", tmp_path / name).code == 0
        with Image.open(tmp_path / name) as picture:
            assert picture.format == kind
    for out, message in (
        (tmp_path / "a.tiff", "expected a name that ends in .png, .jpg, .jpeg, found 'a.tiff'. For example: --out"),
        (tmp_path / "a", "found 'a'"),
        (tmp_path, "expected a file, found a folder"),
        (
            tmp_path / "none" / "a.png",
            f"expected a folder that is there, found none. Make it first: mkdir -p {tmp_path}",
        ),
    ):
        result = pd("show", "0", "--out", out)
        assert result.code == 2 and message in result.err and len(result.err.splitlines()) == 1, result.err


def test_config_shows_where_each_value_comes_from(pd: Pd, store: Path) -> None:
    """default, preset, override, operational."""
    pd("config", "set", "crf.gt_prob=0.8")
    shown = json.loads(pd("config", "show", "--json").out)
    assert shown["crf"]["gt_prob"]["origin"] == "override"
    assert shown["crf"]["iterations"]["origin"] == "preset"
    assert shown["crf"]["long_side"]["origin"] == "default"
    assert shown["detic"]["batch_size"]["origin"] == "default, operational"
    assert "crf.gt_prob" in pd("config", "show", "crf").out


def test_config_works_without_a_store(pd: Pd) -> None:
    """Presets, their settings and the schema can be read anywhere."""
    assert "no_weights" in pd("config", "list").out
    assert "ranking.k" in pd("config", "show", "ranking", "--preset", "demo").out
    assert "grouping.k" in pd("config", "show", "grouping").out
    assert "k" in json.loads(pd("config", "schema").out)["grouping"]["properties"]


def test_stage_list_shows_nodes_or_stages(
    pd: Pd, photos: Path, pipeline_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside a store the stages there are; in one, also by its folder alone, its nodes and their state."""
    assert "proposal-train" in pd("stage", "list").out
    pd("init", tmp_path / "s", "--images", photos, "--preset", pipeline_file)
    monkeypatch.chdir(tmp_path / "s")
    assert "not started" in pd("stage", "list").out
