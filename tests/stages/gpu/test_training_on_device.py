"""A training on a device: one step, in both precisions, and a run that is killed and goes on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from schemas.training import TrainSettings
from stages.train.log import read_log
from stages.train.loop import Hooks, train
from stages.train.process_group import ALONE
from stages.train.samples import Batch, collate
from stages.train.step import Stepper
from stages.train.training_state import TrainingState
from tests.stages.gpu.plain import network
from tests.stages.train.squares import PLAIN, SETTINGS, Squares

# The points of the loss are drawn on the device, from another generator than the CPU's. With many of them the loss
# hardly depends on which they are.
MANY_POINTS = SETTINGS.model_copy(update={"num_points": 4096, "ema_decay": 0.0})
CPU = torch.device("cpu")


def batch() -> Batch:
    return collate(Squares().read(np.array([0, 1, 3])), PLAIN, 0, 0)


def stepper(folder: Path, device: str, settings: TrainSettings = MANY_POINTS) -> Stepper:
    state = TrainingState(settings, network(1, num_objects=2).to(device), folder)
    return Stepper(state, ALONE, torch.device(device))


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The values of a first step in float32, of the same weights on the CPU; its points have another seed."""
    settings = MANY_POINTS.model_copy(update={"seed": 1})
    return stepper(tmp_path_factory.mktemp("cpu"), "cpu", settings).step(0, batch(), wants_stop=False).values


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.03), ("bfloat16", 0.06)])
def test_a_step(device: str, on_cpu: dict[str, float], tmp_path: Path, precision: Any, tolerance: float) -> None:
    """Its losses are close to the CPU's; it moves every weight that is not frozen by about the learning rate."""
    taker = stepper(tmp_path, device)
    taker.precision = precision
    before = {name: weight.detach().clone() for name, weight in taker.state.network.named_parameters()}
    values = taker.step(0, batch(), wants_stop=False).values
    for name in ("loss", "loss_class", "loss_mask", "loss_dice"):
        assert values[name] == pytest.approx(on_cpu[name], rel=tolerance), name
    moved = 0
    for name, weight in taker.state.network.named_parameters():
        assert weight.dtype == torch.float32 and weight.device.type == device and bool(weight.isfinite().all())
        moved += int(not torch.equal(weight, before[name]))
    assert moved > 0.8 * len(before) and values["skipped"] == 0


def test_the_query_order_of_a_step_is_that_of_the_batch(device: str, tmp_path: Path) -> None:
    """The output for a batch on the device is that on the CPU, with a class-specific head."""
    one, other = (stepper(tmp_path / name, name).queries(batch()) for name in ("cpu", device))
    for name in ("class_logits", "mask_logits", "features"):
        assert torch.allclose(getattr(one, name), getattr(other, name).cpu(), atol=1e-3)


def structure(path: Path) -> dict[str, Any]:
    """Every tensor of a checkpoint as its shape and type, and everything else as it is."""
    values = torch.load(path, map_location="cpu", weights_only=True)

    def outlined(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return tuple(value.shape), str(value.dtype)
        if isinstance(value, dict):
            return {key: outlined(inner) for key, inner in value.items()}
        return [outlined(inner) for inner in value] if isinstance(value, list | tuple) else value

    outline: dict[str, Any] = outlined(values)
    return outline


def test_a_killed_run_goes_on(device: str, tmp_path: Path) -> None:
    """Its checkpoint is built as that of a run that was not killed; from it the run takes the steps that were left."""

    def die(step: int, values: dict[str, float]) -> None:
        if step == 5:
            raise KeyboardInterrupt

    settings = SETTINGS.model_copy(update={"num_points": 4096, "keep": 3})
    train(Squares(), settings, network(1), tmp_path / "whole", device=device)
    with pytest.raises(KeyboardInterrupt):
        train(Squares(), settings, network(1), tmp_path / "killed", Hooks(die), device=device)
    names = sorted(path.name for path in (tmp_path / "killed" / "checkpoints").glob("*.pt"))
    assert names == ["step_00000002.pt", "step_00000004.pt"]
    for name in names:
        assert structure(tmp_path / "killed/checkpoints" / name) == structure(tmp_path / "whole/checkpoints" / name)
    on_cpu = TrainingState(settings, network(1), tmp_path / "killed")
    assert on_cpu.resume(CPU) == 4, "a checkpoint of a GPU can also be read without one"
    others = network(1, mask_scale=2)  # weights that are overwritten by those of the checkpoint
    done = train(Squares(), settings, others, tmp_path / "killed", device=device)
    whole, gone_on = ([line["loss"] for line in read_log(tmp_path / name)] for name in ("whole", "killed"))
    assert len(gone_on) == 6 and all(math.isfinite(loss) for loss in gone_on)
    assert gone_on == pytest.approx(whole, rel=0.02)
    assert next(done.parameters()).device.type == device
