"""Every block of docs/exchange.md runs as it is printed, in order, on a small store."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from cli.main import run_command
from tests.cli.conftest import draw

PAGE = Path(__file__).parents[2] / "docs" / "exchange.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PIPELINE = """
block_size: 2
nodes:
  ingest: {}
  detic: {inputs: {images: ingest}, settings: {backend: saliency}}
  grouping: {inputs: {images: ingest, objects: detic}, settings: {backend: pixels, metric: l2, k: 2}}
  candidates: {inputs: {images: ingest, objects: detic, segments: grouping}, settings: {min_score: 0.0}}
  ranking: {inputs: {candidates: candidates}, settings: {k: 2, metric: l2}}
  labels: {inputs: {images: ingest, objects: detic, segments: grouping, clusters: ranking}}
  distill-train: {inputs: {images: ingest, labels: labels}}
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of six pictures with labels, which PD_STORE names; the current folder is an empty one."""
    for number in range(6):
        draw(tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.png", number)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setenv("PD_STORE", str(tmp_path / "store"))
    words = [str(tmp_path / "store"), "--images", str(tmp_path / "photos"), "--preset", str(tmp_path / "pipeline.yaml")]
    assert run_command(["init", *words]) == 0
    assert run_command(["run", "--until", "labels"]) == 0
    return tmp_path / "store"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # json.load(open(…)) is short, and a page is read by people
def test_the_page_runs(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands end with 0, and assertions of the Python code hold. What a block needs stands above it."""
    blocks, names = FENCE.findall(PAGE.read_text()), dict[str, object]()
    assert [language for language, _ in blocks] == ["", "python", "python", "python", ""]
    for language, text in blocks:
        if language == "python":
            exec(compile(text, str(PAGE), "exec"), names)
            continue
        for line in text.splitlines():
            program, *words = shlex.split(line)
            assert program == "pd" and run_command(words) == 0, (line, capsys.readouterr().err)
    content = json.loads(Path("corrected.json").read_text())
    capsys.readouterr()
    sql = "SELECT DISTINCT image_id FROM labels WHERE node = 'labels-corrected'"
    assert run_command(["sql", sql, "--format", "json"]) == 0
    left = {row["image_id"] for row in json.loads(capsys.readouterr().out)}
    rejected, kept = (image["id"] for image in content["images"])
    assert rejected not in left and kept in left and len(left) == 5
