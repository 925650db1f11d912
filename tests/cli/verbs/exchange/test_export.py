from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
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


def test_the_tree_of_the_original_and_back(pd: Pd, found: Path, tmp_path: Path) -> None:
    """Objects leave as the original's files, and the node that reads them has the same rows."""
    assert pd("export", "original", tmp_path / "tree", "--node", "detic").code == 0
    assert pd("import", "original", tmp_path / "tree", "--as", "theirs").code == 0
    done = pd("run", "--until", "theirs")
    assert done.code == 0, done.err
    columns = "image_id, object_id, category_id, category_name, round(score, 5), area, height, width"
    query = f"SELECT {columns}, rle FROM objects WHERE node = '{{}}' ORDER BY 1, 2"
    ours, read = (json.loads(pd("sql", query.format(node), "--format", "json").out) for node in ("detic", "theirs"))
    assert read == ours and len(ours) >= 6


@pytest.mark.parametrize(("form", "files"), [("hf", {"README.md", "data"}), ("parquet", {"data"})])
def test_parquet_files(pd: Pd, found: Path, tmp_path: Path, form: str, files: set[str]) -> None:
    """One row per image; the card is only for Hugging Face."""
    out = tmp_path / "out"
    assert pd("export", form, out, "--node", "detic", "--images", "none").code == 0
    assert files <= {path.name for path in out.iterdir()} and ("README.md" in files) == (out / "README.md").exists()
    (file,) = out.rglob("*.parquet")
    assert pq.read_metadata(file).num_rows == 6
