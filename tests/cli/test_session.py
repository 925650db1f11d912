"""The store and the pipeline that a verb works with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Pd, assert_error


@pytest.mark.parametrize("words", [("status",), ("run",), ("sql", "SELECT 1"), ("verify",), ("show", "0"), ("gc",)])
def test_no_store(pd: Pd, words: tuple[str, ...]) -> None:
    """Outside a store the error says how to name a store and how to make one."""
    assert_error(pd(*words), 2, "expected a store", "pd --store STORE", "PD_STORE", "pd init", os.getcwd())


def test_a_folder_that_is_not_a_store(pd: Pd, photos: Path) -> None:
    """A folder without store.json is refused with the command that makes a store."""
    assert_error(pd("--store", photos, "status"), 2, photos, "expected a store, found no store.json", "pd init")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"spec": {}, "overrides": [1]}'])
def test_a_recorded_pipeline_that_is_broken(pd: Pd, store: Path, text: str) -> None:
    """The error names the file, for every verb that reads it."""
    (store / "pipeline.json").write_text(text)
    for words in (("status",), ("run",), ("config", "show")):
        assert_error(pd(*words), 1, store / "pipeline.json", "expected what this program writes there", "a copy")
