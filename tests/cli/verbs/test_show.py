"""``pd show``: pictures, their formats, and requests that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.conftest import Pd


def test_show_draws_the_image_and_every_node(pd: Pd, store: Path, tmp_path: Path) -> None:
    """The picture has a column for the image and one for each node with masks; its path goes to stdout."""
    pd("run", "--until", "grouping")
    result = pd("show", "0", "--out", tmp_path / "all.png")
    assert result.code == 0 and result.out.strip() == str(tmp_path / "all.png")
    all_nodes = np.asarray(Image.open(tmp_path / "all.png"))
    assert pd("show", "0", "--nodes", "grouping", "--out", tmp_path / "single.png").code == 0
    assert all_nodes.shape[1] > np.asarray(Image.open(tmp_path / "single.png")).shape[1]
    assert pd("show", "--sheet", "3", "--out", tmp_path / "sheet.png").code == 0
    assert pd("show", "cat/0.png", "1.png", "--out", tmp_path / "named.png").code == 0


def test_show_says_what_is_wrong(pd: Pd, store: Path) -> None:
    """Before ingest, and for an unknown, missing or misspelt image or node, `pd show` says what to do."""
    assert "pd stage run ingest" in pd("show", "0").err
    pd("run", "ingest")
    assert pd("show", "77").code == 2
    assert pd("show").code == 2
    assert "Did you mean 'grouping'?" in pd("show", "0", "--nodes", "groupin").err


def test_show_writes_the_format_that_the_name_says(pd: Pd, store: Path, tmp_path: Path) -> None:
    """The ending chooses PNG or JPEG; another ending, a folder and a missing folder are usage errors."""
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
            f"the folder {tmp_path / 'none'} does not exist. Create it first: mkdir -p {tmp_path / 'none'}.",
        ),
    ):
        result = pd("show", "0", "--out", out)
        assert result.code == 2 and message in result.err and len(result.err.splitlines()) == 1, result.err
