"""A disk that is not mounted, seen from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pdstore import Store, layout
from stages.plan.project import Project
from tests.cli.conftest import Pd
from tests.stages.datasets.published import photograph, polygon, write_coco


@pytest.fixture
def store(pd: Pd, tmp_path: Path) -> Path:
    """A store of two annotated pictures whose nodes are all done, and whose annotations are away."""
    root, store = tmp_path / "in", tmp_path / "st"
    for name in ("dog/a.png", "dog/b.png"):
        photograph(root / name)
    write_coco(root / "annotations.json", {"dog/a.png": [(0, [polygon(0, 0, 6, 6)])], "dog/b.png": []})
    assert pd("init", store, "--images", root, "--preset", "ground_truth").code == 0
    assert pd("--store", store, "run").code == 0
    (root / "annotations.json").rename(root / "away.json")
    return store


AWAY = "annotations.json: no such file (is the disk mounted?), named by truth-objects.file and truth-parts.file"


def test_finished_nodes_stay_done(pd: Pd, store: Path, tmp_path: Path) -> None:
    """Every view says which file is away and keeps the rows; none speaks of settings or of deleting a layer."""
    status, plan, run = (pd("--store", store, word) for word in ("status", "plan", "run"))
    assert (status.code, plan.code, run.code) == (0, 0, 1)
    for result in (status, plan, run):
        assert AWAY in result.err and "older layer" not in result.out
        assert "settings changed" not in result.out + result.err and "pd gc" not in result.out + result.err
    assert status.out.count("done  ") == 4 and "truth-parts: already done" in run.err
    assert "1" in pd("--store", store, "sql", "SELECT count(*) FROM parts").out
    (tmp_path / "in/away.json").rename(tmp_path / "in/annotations.json")
    assert pd("--store", store, "run").code == 0


def test_what_the_store_knew_of_the_file_is_kept(pd: Pd, store: Path) -> None:
    """A setting that is changed meanwhile forgets no digest; a store of an earlier release asks its layers."""
    before = Store(str(store)).current()
    assert pd("--store", store, "config", "set", "ingest.max_pixels=178956970").code == 0
    assert Store(str(store)).current() == before
    path = store / layout.PIPELINE
    values = {"current": before, **json.loads(path.read_text())}
    shutil.rmtree(store / layout.PIPELINES)
    for name in ("digest", "number", "created", "who", "before", "removed"):
        del values[name]
    assert values.pop("files")["truth-parts"]["file"][0].endswith("in/annotations.json")
    path.write_text(json.dumps(values))
    assert Project.open(Store(str(store))).pipeline.current() == before


def test_all_files_are_checked_before_the_first_node_runs(pd: Pd, tmp_path: Path) -> None:
    """``pd init`` names them all; ``pd run`` refuses before it decodes a picture, even with --new-layer."""
    root, store = tmp_path / "in", tmp_path / "st"
    photograph(root / "dog/a.png")
    made = pd("init", store, "--images", root, "--preset", "ground_truth", "truth-parts.file=/nowhere/b.json")
    assert made.code == 0 and f"{root}/annotations.json: no such file" in made.err and "/nowhere/b.json: no" in made.err
    for words in (("run",), ("run", "--new-layer")):
        result = pd("--store", store, *words)
        assert result.code == 1 and "2 files that the settings name are not there" in result.err
        assert not Project.open(Store(str(store))).layer("ingest").units()


def test_another_path_that_is_away_is_no_changed_setting(pd: Pd, store: Path) -> None:
    """What is in a file that cannot be read is not known, so nothing is said of changed settings."""
    for words in (("run",), ("stage", "run", "truth-parts")):
        result = pd("--store", store, *words, "truth-parts.file=/nowhere/x.json", "truth-objects.file=/nowhere/x.json")
        assert result.code == 1 and "/nowhere/x.json: no such file" in result.err and "pd gc" not in result.err
