"""A network of another library trains on a query, and a stopped training goes on as if it had not been stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.stages.loading.made import ABOVE, make_store


def losses(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.startswith("step ")]


def test_a_stopped_training_goes_on(
    example: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two steps and three more, over the end of an epoch, have the losses and the weights of five at once."""
    store, module = make_store(tmp_path), example("train_on_query")
    words = [store.url, ABOVE, "--batch-size", "7", "--every", "2", "--checkpoint"]
    assert module.main([*words, str(tmp_path / "whole.pt"), "--steps", "5"]) == 0
    whole = losses(capsys.readouterr().out)
    for steps in ("2", "5"):
        assert module.main([*words, str(tmp_path / "parts.pt"), "--steps", steps]) == 0
    printed = capsys.readouterr().out
    assert losses(printed) == whole and len(whole) == 5
    assert "Stream(21 images with masks of labels" in printed and "2 steps are done" in printed
    states = [torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "parts.pt")]
    assert states[0]["data"] == states[1]["data"] and states[0]["data"]["epoch"] == 1
    assert all(torch.equal(value, states[1]["model"][name]) for name, value in states[0]["model"].items())
