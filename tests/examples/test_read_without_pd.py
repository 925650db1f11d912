from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore import Store, masks
from stages.plan.project import Project
from tests.examples.conftest import EXAMPLES

# None in sys.modules makes an import fail: the script runs as if pd were not installed.
WITHOUT_PD = """
import runpy, sys
sys.modules.update(dict.fromkeys(("pdstore", "schemas", "stages", "cli", "torch", "pyarrow"), None))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_PD, str(EXAMPLES / "read_without_pd.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("node", ["detic", "crf", "labels"])
def test_it_reads_what_pd_reads(made: Path, tmp_path: Path, node: str) -> None:
    """Rows per block and the largest mask are those that the library gives, though it cannot be imported there."""
    done = run(made, node, "--out", tmp_path / "mask.png")
    assert done.returncode == 0, done.stderr
    rows = Project.open(Store(str(made))).layer(node).read(0)
    best = int(np.lexsort([np.arange(len(rows)), -rows["area"]])[0])
    height, width = int(rows["height"][best]), int(rows["width"][best])
    mask = masks.decode_one(rows.ragged("rle")[best], height, width)
    assert done.stdout.splitlines()[:2] == [
        f"block 00000: {len(rows)} rows",
        f"largest mask: image {rows['image_id'][best]}, {mask.sum()} of {height} x {width} pixels",
    ]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")) == 255, mask)


def test_garbage_of_a_killed_worker_is_not_read(made: Path) -> None:
    """A folder in blocks/ that no commit names does not count."""
    before = run(made, "grouping")
    layer = next((made / "layers" / "grouping").iterdir())
    (layer / "blocks" / "00001.0123456789ab").mkdir()
    assert run(made, "grouping").stdout == before.stdout != ""


def test_a_node_without_a_commit_is_said_to_be_empty(made: Path, tmp_path: Path) -> None:
    """There is a sentence in place of a traceback."""
    (tmp_path / "pipeline.json").write_text('{"current": {"crf": "0123456789abcdef"}}')
    done = run(tmp_path, "crf")
    assert done.returncode == 1 and done.stderr.strip() == "crf has committed nothing yet."
