"""Workers are separate processes: they must find the program."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _workers_find_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run ``python -m cli``, even where the program is not installed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
