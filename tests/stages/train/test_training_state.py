from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pdstore.errors import StaleSettings
from schemas.training import NetworkSettings
from stages.models.network import build
from stages.train.checkpoint import BEST_NAME
from stages.train.training_state import TrainingState
from tests.stages.train.squares import SETTINGS, SMALL

CPU = torch.device("cpu")


def state(folder: Path, seed: int = 0, network: NetworkSettings = SMALL, **changes: Any) -> TrainingState:
    return TrainingState(SETTINGS.model_copy(update=changes), build(network, 1, seed=seed), folder)


def moved(folder: Path) -> TrainingState:
    """A state after one optimiser step, with averaged weights."""
    training = state(folder)
    for parameter in training.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    training.optimiser.step()
    training.average.update(training.network, SETTINGS.steps - 1)
    return training


def test_a_new_training_starts_at_step_0(tmp_path: Path) -> None:
    """Its folder is created, and the weights stay the initial ones."""
    training = state(tmp_path / "new")
    before = training.network.class_predictor.weight.clone()
    assert training.resume(CPU) == 0 and (tmp_path / "new").is_dir()
    assert torch.equal(before, training.network.class_predictor.weight)


def test_a_saved_state_is_restored(tmp_path: Path) -> None:
    """Weights, averages, moments, the best score and the skipped steps are those that were saved, bit for bit."""
    saved = moved(tmp_path)
    saved.skipped, saved.skipped_in_a_row = 5, 2
    saved.save(4, 0.5, is_due=True)
    restored = state(tmp_path, seed=3)
    assert restored.resume(CPU) == 4 and restored.best == 0.5
    assert (restored.skipped, restored.skipped_in_a_row) == (5, 2)
    for name, value in saved.network.state_dict().items():
        assert torch.equal(value, restored.network.state_dict()[name]), name
    assert saved.average.values.keys() == restored.average.values.keys() != set()
    moments, again = (s.optimiser.state_dict()["state"][0]["exp_avg"] for s in (saved, restored))
    assert torch.equal(moments, again) and float(moments.abs().sum()) > 0


def test_only_a_better_score_is_the_best(tmp_path: Path) -> None:
    """A score that is not lower leaves the best checkpoint alone, and is not written unless one is due."""
    training = state(tmp_path)
    for step, score in ((1, 0.7), (2, 0.9), (3, 0.4), (4, 0.4)):
        training.save(step, score, is_due=False)
    assert sorted(path.name for path in training.checkpoints.glob("step_*.pt")) == [
        "step_00000001.pt",
        "step_00000003.pt",
    ]
    best = torch.load(training.checkpoints / BEST_NAME, weights_only=True)
    assert (best["step"], best["best"]) == (3, 0.4)


def test_a_score_that_is_not_finite_is_never_the_best(tmp_path: Path) -> None:
    """Otherwise no later score could be better than it."""
    training = state(tmp_path)
    for step, score in ((1, float("nan")), (2, 0.7)):
        training.save(step, score, is_due=False)
    assert training.best == 0.7 and not (training.checkpoints / "step_00000001.pt").exists()


def test_a_checkpoint_of_an_earlier_release_is_continued(tmp_path: Path) -> None:
    """It does not say how many steps were skipped: none were."""
    first = state(tmp_path)
    first.save(2, None, is_due=True)
    (path,) = first.checkpoints.glob("*.pt")
    values = torch.load(path, weights_only=True)
    torch.save({name: value for name, value in values.items() if not name.startswith("skipped")}, path)
    path.with_name(f"{path.name}.digest").unlink()
    restored = state(tmp_path)
    assert restored.resume(CPU) == 2 and (restored.skipped, restored.skipped_in_a_row) == (0, 0)


def test_other_settings_do_not_continue_from_a_checkpoint(tmp_path: Path) -> None:
    """The error names the differences of the training and of the network; settings that change no result may differ."""
    state(tmp_path).save(2, None, is_due=True)
    with pytest.raises(StaleSettings, match=rf"{tmp_path}/checkpoints: .*other settings: lr: 0.001 -> 0.01\. Train in"):
        state(tmp_path, lr=0.01).resume(CPU)
    with pytest.raises(StaleSettings, match=r"'num_queries': 5.* -> .*'num_queries': 6"):
        state(tmp_path, network=SMALL.model_copy(update={"num_queries": 6})).resume(CPU)
    assert state(tmp_path, checkpoint_every=5, keep=9).resume(CPU) == 2


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_the_final_weights_are_the_averaged_ones(tmp_path: Path, decay: float) -> None:
    """If there is an average, the network ends with it; otherwise it keeps its last weights."""
    training = state(tmp_path, ema_decay=decay)
    training.average.update(training.network, SETTINGS.steps - 1)
    first = training.network.class_predictor.weight.detach().clone()
    torch.nn.init.constant_(training.network.class_predictor.weight, 2.0)
    final = training.finish()
    expected = first if decay else torch.full_like(first, 2.0)
    assert torch.equal(final.class_predictor.weight, expected) and not final.training
