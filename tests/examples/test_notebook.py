from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import pdstore


def test_it_prints_what_the_store_holds(
    made: Path, example: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nodes, the largest mask per class, coverage, and the image, which is written with one figure per layer."""
    out = tmp_path / "image.html"
    assert example("notebook").main([str(made), "--node", "grouping", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "8 images in blocks of" in printed and "grouping" in printed and "of their image, on average" in printed
    db = pdstore.open(str(made))
    best = db.sql("SELECT max(area) AS area FROM parts WHERE node = 'grouping'")[0]["area"]
    assert str(best) in printed
    assert out.read_text().count("<figure") >= 3


def test_an_unknown_node_is_refused(made: Path, example: Callable[[str], ModuleType]) -> None:
    """The message lists those that are there."""
    with pytest.raises(SystemExit, match=r"no node croof here; there are .*grouping"):
        example("notebook").main([str(made), "--node", "croof"])
