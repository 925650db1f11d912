from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pdstore.errors import PdError
from schemas.training import TrainSettings
from stages.models.network import build
from stages.train.process_group import ALONE
from stages.train.samples import Batch, collate
from stages.train.step import Stepper
from stages.train.training_state import TrainingState
from tests.stages.train.squares import PLAIN, SETTINGS, SMALL, Squares

CPU = torch.device("cpu")


def stepper(folder: Path, settings: TrainSettings = SETTINGS) -> Stepper:
    return Stepper(TrainingState(settings, build(SMALL, 1), folder), ALONE, CPU)


def batch(*rows: int) -> Batch:
    return collate(Squares().read(np.array(rows)), PLAIN, 0, 0)


def test_a_step_changes_the_weights_and_returns_its_losses(tmp_path: Path) -> None:
    """The loss is the sum of its terms, and the learning rate is that of the schedule."""
    taker = stepper(tmp_path)
    before = taker.state.network.class_predictor.weight.clone()
    values, stop, skipped = taker.step(0, batch(0, 1, 3), wants_stop=False)
    assert values["loss"] == pytest.approx(values["loss_class"] + values["loss_mask"] + values["loss_dice"])
    assert values["lr"] == pytest.approx(SETTINGS.lr / SETTINGS.warmup_steps if SETTINGS.warmup_factor == 0 else 1e-3)
    assert not torch.equal(before, taker.state.network.class_predictor.weight)
    assert stop is False and skipped == [] and values["skipped"] == 0


def test_a_step_depends_on_its_number_and_batch_alone(tmp_path: Path) -> None:
    """The random state of the process has no effect; another number draws other points."""
    values = []
    for seed, step in ((1, 0), (2, 0), (1, 1)):
        torch.manual_seed(seed)
        values.append(stepper(tmp_path).step(step, batch(0, 1, 3), wants_stop=False)[0]["loss"])
    assert values[0] == values[1] != values[2]


def test_a_request_to_stop_comes_back(tmp_path: Path) -> None:
    """The step is taken all the same, and every rank learns of the request."""
    taker = stepper(tmp_path)
    before = taker.state.network.class_predictor.weight.clone()
    assert taker.step(0, batch(0), wants_stop=True)[1] is True
    assert not torch.equal(before, taker.state.network.class_predictor.weight)


def test_a_batch_in_pieces_teaches_what_the_whole_does(tmp_path: Path) -> None:
    """Accumulated gradients are those of the whole batch, up to rounding, if batch norms stand still."""
    frozen = SETTINGS.model_copy(update={"freeze": ("pixel_level_module",)})
    takers = [stepper(tmp_path, frozen.model_copy(update={"accumulate": pieces})) for pieces in (1, 2)]
    for step in range(3):
        losses = [taker.step(step, batch(0, 1, 2, 3), wants_stop=False)[0]["loss"] for taker in takers]
        assert losses[1] == pytest.approx(losses[0], abs=1e-4)


def whole_state(taker: Stepper) -> list[torch.Tensor]:
    """Copies of the weights, the norms' statistics, the optimiser's moments and the averaged weights."""
    state = taker.state
    moments = [value for moment in state.optimiser.state.values() for value in moment.values()]
    return [value.clone() for value in (*state.network.state_dict().values(), *moments, *state.average.values.values())]


def overflow(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
    """Let the gradient of a layer's output overflow."""
    output.register_hook(lambda gradient: gradient * float("inf"))


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_a_step_that_is_not_finite_is_skipped(tmp_path: Path, kind: str) -> None:
    """Weights, statistics of norms, optimiser and averages stay as they were, bit for bit; the images are returned."""
    taker = stepper(tmp_path, SETTINGS.model_copy(update={"ema_start_ratio": 0.0, "warmup_factor": 0.0}))
    taker.step(0, batch(0, 1, 3), wants_stop=False)
    before = whole_state(taker)
    bias, layer = taker.state.network.class_predictor.bias, taker.state.network.class_predictor
    kept = bias.detach().clone()
    if kind == "loss":
        torch.nn.init.constant_(bias, float("nan"))
    else:
        handle = layer.register_forward_hook(overflow)
    values, stop, skipped = taker.step(1, batch(0, 3), wants_stop=True)
    if kind == "loss":
        bias.data.copy_(kept)
    else:
        handle.remove()
    assert skipped == [100, 103] and values["skipped"] == 1 and stop is True
    assert np.isfinite(values["loss"]) == (kind == "gradient")
    assert all(torch.equal(one, other) for one, other in zip(before, whole_state(taker), strict=True))
    assert values["lr"] == pytest.approx(SETTINGS.lr * 2 / 10), "the schedule goes on by the number of the step"


def test_too_many_skipped_steps_in_a_row_stop_the_training(tmp_path: Path) -> None:
    """The error names the step, the images and the last good checkpoint; a step that is taken ends the row."""
    taker = stepper(tmp_path, SETTINGS.model_copy(update={"max_skipped": 1}))
    taker.state.save(2, None, is_due=True)
    bias = taker.state.network.class_predictor.bias
    for step, poison in enumerate((float("nan"), 0.0, float("nan"))):
        torch.nn.init.constant_(bias, poison)
        taker.step(step, batch(0, 3), wants_stop=False)
    assert (taker.state.skipped, taker.state.skipped_in_a_row) == (2, 1)
    with pytest.raises(PdError, match=r"step 4 of .*: the loss is nan .*\[100, 103\].*more than 1 ") as error:
        taker.step(3, batch(0, 3), wants_stop=False)
    assert f"the last good checkpoint is {tmp_path}/checkpoints/step_00000002.pt" in str(error.value)


def test_the_output_for_a_batch_is_that_of_the_network(tmp_path: Path) -> None:
    """Queries have one row per image and no gradient, and looking at them changes no statistics of norms."""
    taker = stepper(tmp_path)
    before = whole_state(taker)
    queries = taker.queries(batch(0, 1))
    assert queries.class_logits.shape == (2, 5, 2) and not queries.mask_logits.requires_grad
    assert all(torch.equal(one, other) for one, other in zip(before, whole_state(taker), strict=True))
    assert taker.state.network.training


def test_the_output_is_computed_in_pieces_and_in_the_precision_of_training(tmp_path: Path) -> None:
    """Two pieces give what one gives; in bfloat16 the logits have that type."""
    whole = stepper(tmp_path).queries(batch(0, 1, 3))
    taker = stepper(tmp_path, SETTINGS.model_copy(update={"accumulate": 2}))
    sizes: list[int] = []
    taker.state.network.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    pieces = taker.queries(batch(0, 1, 3))
    assert sizes == [2, 1] and torch.allclose(whole.mask_logits, pieces.mask_logits, atol=1e-4)
    taker.precision = "bfloat16"
    assert taker.queries(batch(0)).mask_logits.dtype == torch.bfloat16
