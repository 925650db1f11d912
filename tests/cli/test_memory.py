"""Pictures that do not fit into the memory that a process may have."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
LIMIT = 1_200 << 20
"""Bytes of address space: enough for the program and a picture of some megapixels, not for one of 169."""


def pd(folder: Path, *words: str, limit: int = resource.RLIM_INFINITY) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-P", "-m", "cli", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux keeps to RLIMIT_AS")
def test_a_picture_that_exhausts_memory_is_an_error_row(tmp_path: Path) -> None:
    """The others of its block are ingested, and the command succeeds. A TIFF is not read row by row, as a PNG is."""
    folder = tmp_path / "in/thing"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (640, 480), (40 * number, 90, 20)).save(folder / f"{number}.jpg")
    Image.new("RGB", (8000, 6000), (200, 30, 40)).save(folder / "large.jpg")
    Image.new("RGB", (13_000, 13_000), (200, 30, 40)).save(folder / "huge.tif", compression="tiff_lzw")
    assert pd(tmp_path, "init", "st", "--images", "in").returncode == 0
    done = pd(tmp_path, "--store", "st", "stage", "run", "ingest", limit=LIMIT)
    assert done.returncode == 0, done.stderr
    asked = "SELECT key, width FROM images UNION ALL SELECT subject, -1 FROM errors WHERE reason = 'out_of_memory'"
    rows = json.loads(pd(tmp_path, "--store", "st", "sql", f"{asked} ORDER BY 1", "--format", "json").stdout)
    assert [tuple(row.values()) for row in rows] == [
        ("thing/0.jpg", 640),
        ("thing/1.jpg", 640),
        ("thing/2.jpg", 640),
        ("thing/huge.tif", -1),
        ("thing/large.jpg", 8000),
    ]
