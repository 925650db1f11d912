"""The state of a training: network, optimiser and averaged weights, and the checkpoints that hold them.

Nothing else has to be saved: the learning rate and the sample order are functions of the step, random numbers are
functions of (seed, step, image), and bfloat16 needs no loss scale.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from pdstore.errors import StaleSettings
from schemas.training import TrainSettings
from stages.models.network import PartNetwork
from stages.train import checkpoint
from stages.train.optimiser import AveragedWeights, freeze, make_optimiser
from stages.training_mirror import CHECKPOINTS

__all__ = ["TrainingState"]


class TrainingState:
    """The state of one training.

    Its attribute ``skipped`` counts the steps that were skipped because they were not finite, and ``skipped_in_a_row``
    those since the last step that was taken.

    Args:
        settings: settings of the training.
        network: the network with its initial weights, on its device.
        folder: folder of the training.
    """

    def __init__(self, settings: TrainSettings, network: PartNetwork, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        # Twice as fast on a CPU. The types of torch leave out this keyword.
        network.to(memory_format=torch.channels_last)
        self.network = network.train()
        freeze(self.network, settings.freeze)
        self.optimiser = make_optimiser(self.network, settings)
        self.average = AveragedWeights(settings)
        self.checkpoints = folder / CHECKPOINTS
        self.best: float | None = None
        self.skipped = self.skipped_in_a_row = 0

    def resume(self, device: torch.device) -> int:
        """Restore the newest checkpoint, if there is one. Returns the number of steps that are already done.

        Raises:
            StaleSettings: the checkpoint was written under other settings.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        state = checkpoint.newest(self.checkpoints, device)
        if state is None:
            return 0
        self._check(state)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average = AveragedWeights(self.settings, state["average"])
        self.best = state["best"]
        # Earlier releases skipped no step.
        self.skipped, self.skipped_in_a_row = state.get("skipped", 0), state.get("skipped_in_a_row", 0)
        return int(state["step"])

    def save(self, step: int, score: float | None, is_due: bool) -> None:
        """Write a checkpoint if one is due, or if ``score`` (less is better) is the best so far; that one is kept."""
        is_best = score is not None and math.isfinite(score) and (self.best is None or score < self.best)
        if is_best:
            self.best = score
        if is_due or is_best:
            state = {
                "step": step,
                "best": self.best,
                "skipped": self.skipped,
                "skipped_in_a_row": self.skipped_in_a_row,
                "settings": json.dumps(self._identity()),
                "network": self.network.state_dict(),
                "average": self.average.values,
                "optimiser": self.optimiser.state_dict(),
            }
            checkpoint.write(self.checkpoints, step, state, self.settings.keep, is_best)

    def finish(self) -> PartNetwork:
        """The network with its final weights, in evaluation mode."""
        if self.average.values:
            self.network.load_state_dict(self.average.values)
        self.network.eval()
        return self.network

    def _identity(self) -> dict[str, Any]:
        network = self.network
        shape = {"num_classes": network.num_classes, "num_objects": network.num_objects}
        return {**self.settings.identity(), "network": network.settings.identity(), **shape}

    def _check(self, state: dict[str, Any]) -> None:
        old, new = json.loads(state["settings"]), json.loads(json.dumps(self._identity()))
        changed = [f"{name}: {old.get(name)} -> {new.get(name)}" for name in new if old.get(name) != new.get(name)]
        if changed:
            raise StaleSettings(
                f"the checkpoint was written under other settings: {'; '.join(changed)}",
                where=str(self.checkpoints),
                fix="Train in another folder, or delete this folder",
            )
