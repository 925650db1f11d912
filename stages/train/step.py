"""One optimiser step on one batch, shared by all ranks."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from pdstore.errors import PdError
from pdstore.stream import generator
from stages.models.network import Queries
from stages.train import checkpoint
from stages.train.loss import PartLoss
from stages.train.optimiser import set_rate
from stages.train.process_group import ProcessGroup, synchronise_norms
from stages.train.samples import Batch
from stages.train.training_state import TrainingState

__all__ = ["Stepper"]


class Stepper:
    """Takes optimiser steps.

    Args:
        state: the training's state, which each step changes.
        group: the processes that take the same steps, each with its share of the batch.
        device: device of this rank.
    """

    def __init__(self, state: TrainingState, group: ProcessGroup, device: torch.device) -> None:
        settings = state.settings
        self.state, self.group, self.device, self.settings = state, group, device, settings
        self.loss = PartLoss(state.network.num_classes, settings).to(device)
        synchronise_norms(state.network, group)
        if settings.checkpoint_activations:
            state.network.checkpoint_activations()
        self.forward = torch.compile(state.network) if settings.compile else state.network
        self.use_amp = settings.amp and device.type == "cuda" and torch.cuda.is_bf16_supported()

    def step(self, step: int, batch: Batch, wants_stop: bool) -> tuple[dict[str, float], bool]:
        """Take a step. Returns its losses and learning rate, and whether any rank wants to stop after it.

        Args:
            step: number of the step, counted from 0.
            batch: this rank's share of the batch.
            wants_stop: this rank wants to stop after the step.

        Raises:
            PdError: the loss is not finite; the weights were not changed.
        """
        settings, state = self.settings, self.state
        torch.manual_seed(int(generator("step", settings.seed, step, self.group.rank).integers(2**62)))
        lr = set_rate(state.optimiser, step, settings)
        counts = [len(labels) for labels in batch.labels]
        totals = self.group.total(self.loss.totals(counts, state.network.settings.num_queries))
        state.optimiser.zero_grad()
        sums = torch.zeros(4, dtype=torch.float64, device=self.device)
        for piece in batch.pieces(settings.accumulate):
            sums[:3] += self._backward(piece.to(self.device), step, totals)
        sums[3] = float(wants_stop)
        losses = self.group.total(sums).tolist()
        values = {"loss": sum(losses[:3]), **dict(zip(("loss_class", "loss_mask", "loss_dice"), losses, strict=False))}
        self._check(values["loss"], step, batch)
        self.group.total_gradients(state.network.parameters())
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip)
        state.optimiser.step()
        state.average.update(state.network, step)
        return {**values, "lr": lr}, losses[3] > 0

    @torch.no_grad()
    def queries(self, batch: Batch) -> Queries:
        """The output of the network for a batch, with its current weights."""
        on_device = batch.to(self.device)
        return cast(Queries, self.state.network(on_device.images, on_device.object_class))

    def _backward(self, piece: Batch, step: int, totals: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.use_amp):
            queries = self.forward(piece.images, piece.object_class)
        keys = [(self.settings.seed, step, image_id) for image_id in piece.image_ids]
        losses = torch.stack(list(self.loss(queries, piece.masks, piece.labels, keys, totals).values()))
        losses.sum().backward()
        return losses.detach()

    def _check(self, loss: float, step: int, batch: Batch) -> None:
        if math.isfinite(loss):
            return
        image_ids = [image_id for share in self.group.gathered(batch.image_ids) for image_id in share]
        good = checkpoint.last_good(self.state.checkpoints)
        raise PdError(
            f"the loss is {loss} on images {image_ids}; the last good checkpoint is {good}",
            where=f"step {step + 1} of {self.state.folder}",
            fix="Lower lr, or look at these images",
        )
