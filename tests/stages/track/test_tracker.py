from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from pdstore.errors import UsageError
from schemas.stages import EvalSettings
from stages.track.tracker import RunName, check_packages, open_trackers


def test_without_a_wish_there_is_nothing(tmp_path: Path) -> None:
    """Reports go nowhere, nothing is written, and neither wandb nor tensorboard is imported."""
    program = f"""
import sys
from pathlib import Path
from schemas.stages import EvalSettings
from stages.track.tracker import RunName, open_trackers
trackers = open_trackers(EvalSettings(), Path({str(tmp_path)!r}), Path({str(tmp_path)!r}), RunName("eval", ""))
trackers.numbers(1, {{"x": 1.0}})
trackers.close()
print(bool(trackers), *[m for m in ("wandb", "tensorboard", "torch") if m in sys.modules])
"""
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["False"] and list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes before anything is opened, and only if the package is asked for."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    check_packages(EvalSettings(wandb=True), "eval")
    for ask in (
        lambda settings: check_packages(settings, "eval"),
        lambda settings: open_trackers(settings, tmp_path, tmp_path, RunName("eval", "")),
    ):
        with pytest.raises(
            UsageError, match=r"eval: the package tensorboard is not installed.*pip install 'pdstore\[tensorboard\]'"
        ):
            ask(EvalSettings(tensorboard=True))
    assert list(tmp_path.iterdir()) == []


def test_event_files_are_written_below_their_folder(tmp_path: Path) -> None:
    """One setting is enough; after the end nothing more is written."""
    trackers = open_trackers(EvalSettings(tensorboard=True), tmp_path, tmp_path / "events", RunName("eval", ""))
    assert trackers
    trackers.numbers(1, {"x": 1.0})
    trackers.close()
    trackers.close()
    assert not trackers and len(list((tmp_path / "events").glob("events.out.tfevents.*"))) == 1
