from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Pd, assert_error


@pytest.fixture
def found(pd: Pd, store: Path) -> Path:
    """The store of six pictures, with their objects."""
    assert pd("run", "ingest", "detic").code == 0
    return store


def test_a_file_and_a_summary(pd: Pd, found: Path, tmp_path: Path) -> None:
    """The file is written, the progress and the counts are on stderr, and ``--json`` prints them on stdout."""
    out = tmp_path / "out.json"
    done = pd("export", "coco", out, "--node", "detic", "--where", "i.class_name = 'cat'")
    assert done.code == 0 and done.out == ""
    assert "export coco: 6/6 images" in done.err and "left out: 3 × image without a chosen mask" in done.err
    written = json.loads(out.read_text())
    assert len(written["images"]) == 3 and f"{len(written['annotations'])} masks of 3 images" in done.err
    summary = json.loads(pd("export", "coco", out, "--node", "detic", "--overwrite", "--json").out)
    assert summary["out"] == str(out) and summary["images"] == 6 and summary["left_out"] == {}


def test_the_help_lists_the_formats(pd: Pd) -> None:
    """With one line per format."""
    text = pd("export", "--help").out
    assert "coco" in text and "COCO instances: one JSON file" in text


def test_wrong_requests(pd: Pd, found: Path, tmp_path: Path) -> None:
    """A wrong format or node is a usage error; an output that exists is kept."""
    out = tmp_path / "out.json"
    assert_error(pd("export", "cocoa", out, "--node", "detic"), 2, "cocoa", "coco")
    assert_error(pd("export", "coco", out), 2, "--node")
    out.write_text("kept")
    refused = pd("export", "coco", out, "--node", "detic")
    assert_error(refused, 2, "exists already", "--overwrite")
    assert "images" not in refused.err  # no progress of work that has not begun
    assert out.read_text() == "kept"
