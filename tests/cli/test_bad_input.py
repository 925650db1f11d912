"""Requests that cannot be met: one clear error with its exit code, and nothing committed changes."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest

from pdstore import Store
from stages.source.listing import Listing
from tests.cli.conftest import Pd, Result, committed, draw, draw_noise


def assert_error(result: Result, code: int, *words: object) -> None:
    """One error on stderr that holds all the words, nothing on stdout, no trace."""
    assert result.code == code, result
    assert result.out == ""
    assert result.err.count("error: ") == 1 and "Traceback" not in result.err
    for word in words:
        assert str(word) in result.err, (word, result.err)


class TestInit:
    def test_a_missing_image_folder(self, pd: Pd, tmp_path: Path) -> None:
        """The error names the folder, and no store is left behind."""
        result = pd("init", tmp_path / "s", "--images", tmp_path / "nowhere")
        assert_error(result, 2, "there is no such image folder", tmp_path / "nowhere", "--images DIR")
        assert not (tmp_path / "s").exists()

    def test_a_file_in_place_of_the_image_folder(self, pd: Pd, tmp_path: Path) -> None:
        """The error says that a file was found."""
        (tmp_path / "file").write_text("")
        assert_error(pd("init", tmp_path / "s", "--images", tmp_path / "file"), 2, "the image folder is a file")

    def test_an_empty_image_folder(self, pd: Pd, tmp_path: Path) -> None:
        """The error says which endings images have."""
        (tmp_path / "empty").mkdir()
        result = pd("init", tmp_path / "s", "--images", tmp_path / "empty")
        assert_error(result, 2, "there are no images here", tmp_path / "empty", ".jpeg")
        assert not (tmp_path / "s").exists()

    def test_an_imagenet_tree_without_labels(self, pd: Pd, tmp_path: Path) -> None:
        """The error shows how a line of labels.txt looks."""
        draw(tmp_path / "net" / "train" / "n02958343" / "a.JPEG", 0)
        result = pd("init", tmp_path / "s", "--images", tmp_path / "net")
        assert_error(result, 2, "there is no labels.txt here", tmp_path / "net", "n02958343,car")

    def test_a_class_folder_that_labels_does_not_name(self, pd: Pd, tmp_path: Path) -> None:
        """The error names the folder and the line to add."""
        for wnid in ("n02958343", "n01503061"):
            draw(tmp_path / "net" / "train" / wnid / "a.JPEG", 0)
        (tmp_path / "net" / "labels.txt").write_text("n02958343,car\n")
        result = pd("init", tmp_path / "s", "--images", tmp_path / "net")
        assert_error(
            result, 2, "no line for the class folders ['n01503061']", "labels.txt", "Add the line 'n01503061,name'"
        )

    @pytest.mark.parametrize("key", ["../outside.png", "/etc/outside.png", "cat/../../outside.png"])
    def test_a_key_that_leaves_the_image_folder(self, pd: Pd, photos: Path, tmp_path: Path, key: str) -> None:
        """The error names the key and its line."""
        (tmp_path / "list.txt").write_text(f"cat/0.png\n{key}\n")
        result = pd("init", tmp_path / "s", "--images", photos, "--list", tmp_path / "list.txt")
        assert_error(result, 2, "a key inside the image folder", repr(key), "line 2", "relative to the image folder")
        assert not (tmp_path / "s").exists()

    @pytest.mark.parametrize("file", ["list.txt", "classes.txt", "photos/labels.txt", "pipeline.yaml"])
    def test_a_text_file_that_is_not_utf8(self, pd: Pd, photos: Path, tmp_path: Path, file: str) -> None:
        """The error names the file and the line, and no store is left behind."""
        options = {"list.txt": "--list", "classes.txt": "--classes", "pipeline.yaml": "--preset"}
        (tmp_path / file).write_bytes("cat,cat\ndog,Hündchen\n".encode("latin-1"))
        chosen = (options[file], tmp_path / file) if file in options else ()
        result = pd("init", tmp_path / "s", "--images", photos, *chosen)
        place = tmp_path / file
        assert_error(result, 2, f"{place}, line 2", "expected text in UTF-8, found byte 0xfc", "Save the file as UTF-8")
        assert not (tmp_path / "s").exists()

    def test_a_list_that_begins_with_a_byte_order_mark(self, pd: Pd, photos: Path, tmp_path: Path) -> None:
        """It is no part of the first key."""
        (tmp_path / "list.txt").write_text("cat/0.png\n", encoding="utf-8-sig")
        assert pd("init", tmp_path / "s", "--images", photos, "--list", tmp_path / "list.txt").code == 0
        assert Listing(Store(str(tmp_path / "s"))).read(0)[0].key == "cat/0.png"

    def test_a_store_that_exists(self, pd: Pd, store: Path, photos: Path) -> None:
        """The error offers another folder and --add; the store stays as it was."""
        before = committed(store)
        result = pd("init", store, "--images", photos)
        assert_error(result, 2, "a store already exists here", store, "--add")
        assert committed(store) == before

    def test_an_unknown_preset(self, pd: Pd, photos: Path, tmp_path: Path) -> None:
        """The error names the nearest one."""
        result = pd("init", tmp_path / "s", "--images", photos, "--preset", "no_weight")
        assert_error(result, 2, "there is no preset 'no_weight'", "Did you mean 'no_weights'?")

    def test_new_images_of_a_new_class(self, pd: Pd, store: Path, photos: Path) -> None:
        """The vocabulary of a store is fixed."""
        before = committed(store)
        draw(photos / "horse" / "0.png", 0)
        assert_error(pd("init", store, "--images", photos, "--add"), 2, "['horse']", "Create a new store")
        assert committed(store) == before


class TestRequest:
    @pytest.mark.parametrize(
        ("shard", "found"),
        [("0/10", "found 0/10"), ("11/10", "found 11/10"), ("3-10", "found '3-10'"), ("", "found ''")],
    )
    def test_a_shard_that_is_none(self, pd: Pd, store: Path, shard: str, found: str) -> None:
        """The error says that shards are counted from 1."""
        result = pd("stage", "run", "ingest", "--shard", shard)
        assert_error(result, 2, "--shard: expected k/n", found, "counted from 1")

    def test_an_unknown_node(self, pd: Pd, store: Path) -> None:
        """The error names the nearest one, for every verb that takes nodes."""
        for words in (
            ("stage", "run", "groping"),
            ("run", "groping"),
            ("run", "groping.k=3"),
            ("config", "show", "groping"),
        ):
            assert_error(pd(*words), 2, "the pipeline has no node 'groping'", "Did you mean 'grouping'?")

    def test_an_unknown_setting(self, pd: Pd, store: Path) -> None:
        """The error names the path, the nearest setting, and where to see them all."""
        before = committed(store)
        result = pd("run", "grouping.kk=3")
        assert_error(result, 2, "grouping.kk: unknown setting. Did you mean 'k'?", "pd config show grouping")
        assert pd("config", "show", "grouping").code == 0
        assert committed(store) == before

    def test_settings_of_a_wrong_type(self, pd: Pd, store: Path) -> None:
        """Every fault of a node stands in the one error."""
        before = committed(store)
        result = pd("config", "set", "grouping.k=many", "grouping.metric=l3")
        assert_error(result, 2, "2 settings are not valid", "grouping.k: ", "found 'many'", "grouping.metric: ", "'l3'")
        assert committed(store) == before

    def test_an_override_without_a_setting(self, pd: Pd, store: Path) -> None:
        """The error shows the form."""
        assert_error(pd("run", "grouping=3"), 2, "expected node.setting=value, found 'grouping=3'", "grouping.k=5")

    @pytest.mark.parametrize("words", [("status",), ("run",), ("sql", "SELECT 1"), ("verify",), ("show", "0"), ("gc",)])
    def test_no_store(self, pd: Pd, words: tuple[str, ...]) -> None:
        """Outside a store the error says how to name one and how to make one."""
        assert_error(pd(*words), 2, "expected a store", "pd --store STORE", "PD_STORE", "pd init", os.getcwd())

    def test_a_store_that_is_none(self, pd: Pd, photos: Path) -> None:
        """A folder without store.json is none."""
        assert_error(pd("--store", photos, "status"), 2, photos, "there is no store here (no store.json)", "pd init")

    def test_an_unknown_verb_and_option(self, pd: Pd, store: Path) -> None:
        """The error names the nearest verb; --store after the verb is sent to its place."""
        assert_error(pd("statis"), 2, "expected a verb, found 'statis'. Did you mean 'status'?")
        assert_error(pd("status", "--store", "x"), 2, "before the verb")
        assert_error(pd("run", "--wrokers", "2"), 2, "--wrokers", "pd run --help")

    def test_options_that_do_not_go_together(self, pd: Pd, store: Path) -> None:
        """Each error says what to leave out or to add."""
        assert_error(pd("stage", "run", "ingest", "--jobs", "3"), 2, "--launcher slurm")
        assert_error(pd("stage", "run", "ingest", "--launcher", "slurm"), 2, "--jobs N")
        assert_error(pd("run", "--workers", "2", "--gpus", "2"), 2, "--workers or --gpus")


class TestState:
    def test_a_missing_input(self, pd: Pd, store: Path) -> None:
        """The error says which node to run."""
        before = committed(store)
        assert_error(
            pd("stage", "run", "grouping"), 1, "grouping: expected the output of ingest", "pd stage run ingest"
        )
        assert pd("run", "ingest").code == 0
        assert_error(pd("stage", "run", "grouping"), 1, "grouping: expected the output of detic", "pd stage run detic")
        assert {k: v for k, v in committed(store).items() if k in before} == before

    def test_an_incomplete_input_of_a_barrier(self, pd: Pd, store: Path) -> None:
        """Ranking needs every block of its input: the error names those that are missing, and --allow-partial."""
        pd("run", "--until", "grouping")
        pd("stage", "run", "crf", "--limit", "2")
        result = pd("stage", "run", "ranking")
        assert_error(result, 1, "ranking: it needs all 3 units of crf, of which 1 are missing (2)", "pd stage run crf")
        assert "--allow-partial" in result.err
        assert pd("stage", "run", "ranking", "--allow-partial", "--max-error-rate", "1").code == 0

    @pytest.mark.parametrize("words", [("stage", "run", "grouping"), ("run",)])
    def test_changed_settings_over_committed_units(self, pd: Pd, store: Path, words: tuple[str, ...]) -> None:
        """Exit code 3; the error shows the difference and the three ways on."""
        pd("run", "--until", "grouping")
        before = committed(store)
        result = pd(*words, "grouping.k=3")
        assert_error(result, 3, "grouping: ", "k: 2 -> 3", "(1)", "--new-layer", "pd gc --layer")
        assert committed(store) == before

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"spec": {}, "overrides": [1]}'])
    def test_a_recorded_pipeline_that_is_broken(self, pd: Pd, store: Path, text: str) -> None:
        """The error names the file, for every verb that reads it."""
        (store / "pipeline.json").write_text(text)
        for words in (("status",), ("run",), ("config", "show")):
            assert_error(pd(*words), 1, store / "pipeline.json", "not a record that this program wrote", "a copy")

    def test_settings_changed_upstream(self, pd: Pd, store: Path) -> None:
        """What a node reads is part of its identity: the error names the settings that changed, however far up."""
        pd("run", "--until", "crf")
        assert pd("stage", "run", "detic", "detic.min_score=0.1", "--new-layer").code == 0
        assert pd("stage", "run", "grouping", "grouping.k=3", "--new-layer").code == 0
        result = pd("run", "crf")
        assert_error(result, 3, "crf: ", "under others: grouping.k: 2 -> 3; detic.min_score: 0.0 -> 0.1")
        assert "pd config set grouping.KEY=VALUE detic.KEY=VALUE" in result.err and "upstream" not in result.err
        # Where the layer that was read is gone, nothing says what its settings were.
        shutil.rmtree(store / "layers" / "grouping")
        assert_error(pd("run", "crf"), 3, "crf upstream parts: ")

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ("SELEC 1", ("syntax error", "DESCRIBE")),
            ("SELECT * FROM imagess", ("imagess", "Did you mean 'images'?")),
            ("SELECT nothing FROM images", ("nothing",)),
            ("SELECT 1; SELECT 2", ("expected one statement, found 2",)),
        ],
    )
    def test_sql_that_is_wrong(self, pd: Pd, store: Path, query: str, words: tuple[str, ...]) -> None:
        """The error is DuckDB's, with a hint."""
        assert_error(pd("sql", query), 2, *words)

    @pytest.mark.parametrize(
        "query",
        [
            "DROP VIEW images",
            "CREATE TABLE t AS SELECT 1",
            "INSERT INTO commits VALUES (1)",
            "COPY (SELECT 1) TO 'x.csv'",
        ],
    )
    def test_sql_that_writes(self, pd: Pd, store: Path, query: str) -> None:
        """The catalog is derived: nothing can be written into it, and no file beside it."""
        pd("run", "ingest")
        before = committed(store)
        assert_error(pd("sql", query), 2, "a query that reads, found")
        assert committed(store) == before and not Path("x.csv").exists()

    def test_parquet_to_a_terminal(self, pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error shows how to write it to a file."""
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert_error(pd("sql", "SELECT 1", "--format", "parquet"), 2, "found a terminal", "> FILE")

    def test_no_object_in_any_image(self, pd: Pd, pipeline_file: Path, tmp_path: Path) -> None:
        """Each image is an error row; the run fails with the query that shows why, and the blocks are committed."""
        for number in range(3):
            draw_noise(tmp_path / "plain" / "cat" / f"{number}.png")
        store = tmp_path / "s"
        pd("init", store, "--images", tmp_path / "plain", "--preset", pipeline_file)
        result = pd("--store", store, "run")
        assert_error(
            result, 1, "detic: 3 of 3 images were left out and are in errors; at most 50% may be", "--max-error-rate"
        )
        rows = pd("--store", store, "sql", "SELECT DISTINCT node, reason FROM errors", "--format", "csv").out
        assert rows.splitlines()[1:] == ["detic,no_object"]
        assert "detic: done already" in pd("--store", store, "run", "detic").err

    def test_fewer_points_than_clusters(self, pd: Pd, store: Path) -> None:
        """A class with too few segments is a row in errors, and never has random centroids."""
        assert pd("run", "--max-error-rate", "1", "ranking.k=500").code == 0
        rows = pd("sql", "SELECT subject, reason FROM errors WHERE node = 'ranking' ORDER BY 1", "--format", "csv").out
        assert rows.splitlines()[1:] == ["cat,too_few_points", "dog,too_few_points"]
        assert pd("sql", "SELECT count(*) FROM clusters", "--format", "csv").out.splitlines()[1] == "0"

    def test_a_full_disk(self, pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error says so; nothing that was committed is lost, and the same command goes on later."""
        pd("stage", "run", "ingest", "--shard", "1/3")
        before = committed(store)

        def full(path: str, data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

        with monkeypatch.context() as patched:
            patched.setattr("pdstore.files._write_synced", full)
            assert_error(pd("run", "ingest"), 1, "the disk is full: there is no space left", "Free some space")
        assert committed(store) == before
        assert pd("run", "ingest").code == 0 and pd("verify").code == 0

    def test_images_that_went_away(self, pd: Pd, store: Path, photos: Path) -> None:
        """A folder that is gone fails its blocks, which loses nothing; `pd show` says which file it misses."""
        pd("run", "ingest")
        shutil.move(photos, photos.with_name("unmounted"))
        result = pd("stage", "run", "detic")
        assert result.code == 1
        assert f"{photos}: the files of 2 of 2 images are missing. Restore them" in result.err
        assert_error(pd("show", "0"), 1, "the file of the image is missing", photos, "Bring the file back")
        assert pd("stage", "run", "detic", "--max-error-rate", "1", "--limit", "1").code == 0
        shutil.move(photos.with_name("unmounted"), photos)
        assert pd("stage", "run", "detic").code == 0
        assert pd("sql", "SELECT count(*) n FROM errors WHERE node = 'detic'", "--format", "csv").out.split() == [
            "n",
            "2",
        ]
