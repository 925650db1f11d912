"""The store and the pipeline that a verb works with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.session import split_words, store_argument
from pdstore import Store
from tests.cli.conftest import Pd, assert_error, committed


@pytest.mark.parametrize("words", [("status",), ("run",), ("sql", "SELECT 1"), ("verify",), ("show", "0"), ("gc",)])
def test_no_store(pd: Pd, words: tuple[str, ...]) -> None:
    """Outside a store the error says how to name a store and how to make one."""
    assert_error(pd(*words), 2, "expected a store", "pd --store STORE", "PD_STORE", "pd init", os.getcwd())


def test_a_folder_that_is_not_a_store(pd: Pd, photos: Path) -> None:
    """A folder without store.json is refused with the command that makes a store."""
    assert_error(pd("--store", photos, "status"), 2, photos, "there is no store here (no store.json)", "pd init")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"spec": {}, "overrides": [1]}'])
def test_a_recorded_pipeline_that_is_broken(pd: Pd, store: Path, text: str) -> None:
    """The error names the file, for every verb that reads it. So it is in a store of an earlier release."""
    shutil.rmtree(store / "pipeline")
    (store / "pipeline.json").write_text(text)
    for words in (("status",), ("run",), ("config", "show")):
        assert_error(pd(*words), 1, store / "pipeline.json", "not a record that this program wrote", "a copy")


def test_the_named_store_wins(
    pd: Pd, store: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--store wins over PD_STORE, and PD_STORE over the current folder."""

    def used(*words: object) -> str:
        return str(json.loads(pd(*words, "status", "--json").out)["store"])

    for name in ("named", "current"):
        assert pd("init", tmp_path / name, "--images", photos).code == 0
    monkeypatch.chdir(tmp_path / "current")
    assert used("--store", tmp_path / "named") == str(tmp_path / "named")
    assert used() == str(store)
    monkeypatch.delenv("PD_STORE")
    assert used() == "."


def test_a_killed_init_is_finished(pd: Pd, store: Path) -> None:
    """If init was killed before it wrote the listing and the pipeline, the next verb writes the same ones."""
    before, nodes = committed(store), Store(str(store)).current()
    shutil.rmtree(store / "listings")
    shutil.rmtree(store / "pipeline")
    (store / "pipeline.json").unlink()
    assert pd("status").code == 0
    # The record of the pipeline says when it was written.
    assert {**committed(store), "pipeline.json": before["pipeline.json"]} == before
    assert Store(str(store)).current() == nodes


def test_the_current_folder_needs_no_name(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words that name a store are left out inside its folder, and only there."""
    assert store_argument(Store(str(store))) == ["--store", str(store)]
    monkeypatch.chdir(store)
    assert store_argument(Store(".")) == [] == store_argument(Store(str(store)))


def test_words_are_nodes_or_overrides() -> None:
    """A word with an equals sign is an override; the order of both kinds is kept."""
    words = ["crf", "crf.k=a=b", "detic", "detic.x="]
    assert split_words(words) == (["crf", "detic"], ["crf.k=a=b", "detic.x="])
    assert split_words(iter(())) == ([], [])


def test_pandas_is_not_imported(store: Path) -> None:
    """pyarrow would import it for its first array. Who imports it later gets it, and tables become its frames."""
    pytest.importorskip("pandas")
    code = f"""
import sys
from cli.main import main
sys.argv = ["pd", "--store", {str(store)!r}, "status"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
import pyarrow as pa
assert "pandas" not in sys.modules and len(pa.array([1])) == 1 and "pandas" not in sys.modules
import pandas
assert isinstance(pa.table({{"a": [1]}}).to_pandas(), pandas.DataFrame)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
