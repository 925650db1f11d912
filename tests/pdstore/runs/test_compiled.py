from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "import numpy as np; from pdstore import runs; print(runs.areas(runs.full(3, 4)).tolist())"


@pytest.mark.parametrize("folder", ["cache", "/proc/nowhere"])
def test_a_folder_for_compiled_code_is_used_but_not_needed(folder: str, tmp_path: Path) -> None:
    """Compiled code is kept where numba is told to; where nothing can be written, functions work without a copy."""
    place = tmp_path / folder
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(place), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", PROGRAM]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "[12]\n"
    assert bool(list(tmp_path.rglob("*.nbc"))) == (folder == "cache")
