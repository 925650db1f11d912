"""The training loop: one process, the CPU or one GPU.

A step's randomness depends on (seed, step), its samples on (seed, epoch, batch), so a training that was stopped at
any moment and goes on from its checkpoint ends with the same weights, bit for bit on one CPU with fixed threads.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from pdstore.errors import InputMissing, PdError, Preempted, StaleSettings
from pdstore.stream import Position, SampleOrder, generator
from schemas.training import TrainSettings
from stages.models.tiny import PartNetwork
from stages.train import checkpoint
from stages.train.loss import PartLoss
from stages.train.optimiser import AveragedWeights, freeze, make_optimiser, set_rate
from stages.train.samples import Batch, SampleSource, batches

__all__ = ["train"]

OnStep = Callable[[int, dict[str, float]], None]


def train(
    source: SampleSource,
    settings: TrainSettings,
    network: PartNetwork,
    folder: Path,
    *,
    on_step: OnStep = lambda step, values: None,
    should_stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
) -> PartNetwork:
    """Trains ``network`` in place, from the newest checkpoint in ``folder`` if there is one.

    Args:
        source: the samples.
        settings: of the training.
        network: with its initial weights.
        folder: local folder of this training: ``checkpoints/`` and ``log.jsonl``.
        on_step: called after each step with its number, from 1, and its loss and learning rate.
        should_stop: asked after each step; True writes a checkpoint and ends.
        device: torch device.

    Returns:
        The network with its final (averaged, if asked for) weights, in evaluation mode.

    Raises:
        InputMissing: the source is empty.
        StaleSettings: the checkpoint was written under other settings.
        Preempted: ``should_stop`` said so; the same call goes on from there.
        PdError: the loss is not finite.
    """
    if len(source) == 0:
        raise InputMissing("samples to train on", "none", str(folder), "Lower min_score or the least areas")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    run = _Run(settings, network, folder, torch.device(device))
    start = run.resume()
    order = SampleOrder(source.block_of_row, settings.batch_size, settings.seed, settings.window)
    stream = batches(source, order, order.at_step(start), settings.augment)
    for step in range(start, settings.steps):
        _, batch = next(stream)
        values = run.step(step, batch)
        done = step + 1
        on_step(done, values)
        stop = should_stop() and done < settings.steps
        if stop or done % settings.checkpoint_every == 0 or done == settings.steps:
            run.save(done, order.at_step(done))
        if stop:
            raise Preempted("the training to end", f"a request to stop after step {done}", str(folder), "Run it again")
    return run.finish()


class _Run:
    """The state of one training: network, optimiser, average, files."""

    def __init__(self, settings: TrainSettings, network: PartNetwork, folder: Path, device: torch.device) -> None:
        self.settings, self.folder, self.device = settings, folder, device
        self.network = network.to(device).to(memory_format=torch.channels_last).train()  # twice as fast on a CPU
        freeze(self.network, settings.freeze)
        self.loss = PartLoss(self.network, settings).to(device)
        self.optimiser = make_optimiser(self.network, settings)
        self.average = AveragedWeights(settings)
        self.checkpoints = folder / "checkpoints"
        self.log = folder / "log.jsonl"

    def resume(self) -> int:
        """Steps already done: 0, or those of the newest checkpoint, whose state is taken over."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = checkpoint.newest(self.checkpoints, self.device)
        done = 0
        if state is not None:
            self._check(state)
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.average = AveragedWeights(self.settings, state["average"])
            done = int(state["step"])
        _cut_log(self.log, done)
        return done

    def step(self, step: int, batch: Batch) -> dict[str, float]:
        torch.manual_seed(int(generator("step", self.settings.seed, step).integers(2**62)))
        lr = set_rate(self.optimiser, step, self.settings)
        on_device = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.amp):
            queries = self.network(on_device.images, on_device.object_class)
        loss = self.loss(queries, on_device.masks, on_device.labels)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise PdError(
                expected="a finite loss",
                found=f"{value} on images {batch.image_ids}",
                where=f"step {step + 1} of {self.folder}",
                fix=f"Last good checkpoint: {checkpoint.last_good(self.checkpoints)}. Lower lr, or look at the images",
            )
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimiser.step()
        self.average.update(self.network, step)
        values = {"loss": value, "lr": lr}
        with self.log.open("a") as file:
            file.write(json.dumps({"step": step + 1, **values}) + "\n")
        return values

    def save(self, step: int, position: Position) -> None:
        state = {
            "step": step,
            "position": {"epoch": position.epoch, "batches": position.batches},
            "settings": json.dumps(self._identity()),
            "network": self.network.state_dict(),
            "average": self.average.values,
            "optimiser": self.optimiser.state_dict(),
        }
        checkpoint.write(self.checkpoints, step, state, self.settings.keep)

    def finish(self) -> PartNetwork:
        if self.average.values:
            self.network.load_state_dict(self.average.values)
        return self.network.eval()

    def _identity(self) -> dict[str, Any]:
        network = self.network
        shape = {"num_classes": network.num_classes, "num_objects": network.num_objects}
        return {**self.settings.identity(), "network": network.settings.identity(), **shape}

    def _check(self, state: dict[str, Any]) -> None:
        then, now = json.loads(state["settings"]), json.loads(json.dumps(self._identity()))
        changed = [f"{name}: {then.get(name)} -> {now.get(name)}" for name in now if then.get(name) != now.get(name)]
        if changed:
            raise StaleSettings(
                expected="the settings that the checkpoint was written under",
                found="; ".join(changed),
                where=str(self.checkpoints),
                fix="Train in another folder, or delete this one",
            )


def _cut_log(log: Path, done: int) -> None:
    """Leaves only the lines of the first ``done`` steps: later ones will be written again."""
    if not log.exists():
        return
    kept = []
    for line in log.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= done:
                kept.append(line + "\n")
        except json.JSONDecodeError:  # the line a killed process was writing
            break
    temporary = log.with_name(f".{log.name}.{uuid4().hex}")
    temporary.write_text("".join(kept))
    os.replace(temporary, log)
