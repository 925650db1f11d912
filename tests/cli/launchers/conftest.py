"""Workers are separate processes: they must find the program."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _workers_find_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run ``python -m cli``, even where the program is not installed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def slow_ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """``slow_ingest(seconds)``: in workers that start later, reading an image takes so much longer."""

    def slow(seconds: float) -> None:
        folder = tmp_path / "site"
        folder.mkdir()
        patch = textwrap.indent(
            "import time, stages.nodes.ingest as i\nf = i._row\n"
            f"i._row = lambda *a: (time.sleep({seconds}), f(*a))[1]\n",
            "    ",
        )
        (folder / "sitecustomize.py").write_text(f"try:\n{patch}except ImportError:\n    pass\n")
        monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")

    return slow
