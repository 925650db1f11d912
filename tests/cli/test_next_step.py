"""What `pd run` says to try next, and the preset for one's own photographs that it is made for."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Pd, Result, draw


def commands(result: Result) -> list[list[str]]:
    """The words of the commands in the last line, each without ``pd``."""
    line = result.err.splitlines()[-1]
    found = re.fullmatch(r"Next: pd (.*), and a picture: pd (.*)", line)
    assert found, line
    return [shlex.split(words) for words in found.groups()]


def test_labels_of_own_photographs(pd: Pd, photos: Path, tmp_path: Path) -> None:
    """The preset no_weights goes to the labels without a training, and the last line's query and picture work there."""
    store = tmp_path / "my store"
    assert pd("init", store, "--images", photos, "--preset", "no_weights").code == 0
    query, picture = commands(pd("--store", store, "run"))
    answer = pd(*query, "--format", "csv").out.splitlines()
    assert answer[0] == "class_name,cluster,masks" and {line.split(",")[0] for line in answer[1:]} == {"cat", "dog"}
    assert pd(*picture).code == 0 and len(list(Path.cwd().glob("show-*.png"))) == 1


def test_two_workers_share_forty_pictures(pd: Pd, tmp_path: Path) -> None:
    """The presets for one's own photographs have blocks of a size that leaves work for a second worker."""
    for number in range(40):
        draw(tmp_path / "many" / f"{number}.png", number)
    for preset in ("no_weights", "no_weights_trained"):
        said = pd("init", tmp_path / preset, "--images", tmp_path / "many", "--preset", preset).out
        assert "blocks      4 of up to 10 images" in said


def test_a_pipeline_without_labels_is_asked_for_its_parts(pd: Pd, store: Path) -> None:
    """The last table that has rows is taken. In a store that PD_STORE names, the commands name none."""
    query, picture = commands(pd("run", "--until", "grouping"))
    assert query[0] == "sql" and "FROM parts" in query[1] and pd(*query).code == 0
    assert picture[0] == "show" and pd(*picture).code == 0


def test_a_store_without_a_readable_image_is_asked_why(
    pd: Pd, pipeline_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no table has a row, the query is for the reasons; a dry run says nothing of what comes next."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no picture")
    monkeypatch.setenv("PD_STORE", str(tmp_path / "empty"))
    assert pd("init", tmp_path / "empty", "--images", tmp_path / "bad", "--preset", pipeline_file).code == 0
    assert "Next" not in pd("run", "--dry-run").err
    line = pd("run", "ingest", "--max-error-rate", "1").err.splitlines()[-1]
    assert line.startswith("No image is in the store yet. To see why: pd sql ")
    words = shlex.split(line.split("To see why: pd ")[1])
    assert pd(*words, "--format", "csv").out.splitlines()[0] == "reason,images"
