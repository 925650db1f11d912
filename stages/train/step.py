"""One optimiser step on one batch, shared by all ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pdstore.errors import PdError
from pdstore.stream import generator
from stages.models.network import Queries
from stages.models.precision import autocast, training_precision
from stages.train import checkpoint
from stages.train.evaluation_mode import evaluation_mode, piece_size
from stages.train.loss import PartLoss
from stages.train.optimiser import set_rate
from stages.train.process_group import ProcessGroup, synchronise_norms
from stages.train.samples import Batch, UnwarpedBatch
from stages.train.training_state import TrainingState

__all__ = ["Stepper", "Taken"]


class Taken(NamedTuple):
    """A step that was taken or skipped.

    Attributes:
        values: its losses, its learning rate, and how many steps of the training were ``skipped`` so far.
        wants_stop: whether any rank wants to stop after it.
        skipped_images: ids of the whole batch's images if the step was skipped, otherwise empty.
    """

    values: dict[str, float]
    wants_stop: bool
    skipped_images: Sequence[int] = ()


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
        self.precision = training_precision(device, settings.amp)

    def step(self, step: int, batch: Batch | UnwarpedBatch, wants_stop: bool) -> Taken:
        """Take a step, or skip it if its loss or gradient is not finite.

        A skipped step changes no weights, no state of the optimiser, no averages and no statistics of norms. Losses
        and gradients are sums over all ranks, so all ranks skip together.

        Args:
            step: number of the step, counted from 0.
            batch: this rank's share of the batch.
            wants_stop: this rank wants to stop after the step.

        Raises:
            PdError: more than ``max_skipped`` steps in a row were skipped.
        """
        settings, state = self.settings, self.state
        torch.manual_seed(int(generator("step", settings.seed, step, self.group.rank).integers(2**62)))
        lr = set_rate(state.optimiser, step, settings)
        counts = [len(labels) for labels in batch.labels]
        totals = self.group.total(self.loss.totals(counts, state.network.settings.num_queries))
        state.optimiser.zero_grad()
        sums = torch.zeros(4, dtype=torch.float64, device=self.device)
        statistics = _Statistics(state.network)
        for piece in batch.pieces(settings.accumulate):
            sums[:3] += self._backward(piece.to(self.device), step, totals)
        sums[3] = float(wants_stop)
        losses = self.group.total(sums).tolist()
        values = {"loss": sum(losses[:3]), **dict(zip(("loss_class", "loss_mask", "loss_dice"), losses, strict=False))}
        self.group.total_gradients(state.network.parameters())
        norm = float(torch.nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip))
        image_ids: list[int] = []
        if math.isfinite(values["loss"]) and math.isfinite(norm):
            state.optimiser.step()
            state.average.update(state.network, step)
            state.skipped_in_a_row = 0
        else:
            statistics.restore()
            image_ids = self._skip(step, batch, values["loss"], norm)
        return Taken({**values, "lr": lr, "skipped": state.skipped}, losses[3] > 0, image_ids)

    @torch.no_grad()
    def queries(self, batch: Batch) -> Queries:
        """The output of the network for a batch, with its current weights, in pieces as large as those of a step.

        The network is in evaluation mode, so nothing in it changes and no other rank is needed.
        """
        found: list[Queries] = []
        network, size = self.state.network, piece_size(self.settings, self.group)
        for first in range(0, len(batch.image_ids), size):
            piece = batch.part(slice(first, first + size)).to(self.device)
            with evaluation_mode(network), autocast(self.device, self.precision):
                found.append(network(piece.images, piece.object_class))
        return Queries(
            *(torch.cat([getattr(q, n) for q in found]) for n in ("class_logits", "mask_logits", "features"))
        )

    def _backward(self, piece: Batch, step: int, totals: Tensor) -> Tensor:
        with autocast(self.device, self.precision):
            queries = self.forward(piece.images, piece.object_class)
        keys = [(self.settings.seed, step, image_id) for image_id in piece.image_ids]
        losses = torch.stack(list(self.loss(queries, piece.masks, piece.labels, keys, totals).values()))
        losses.sum().backward()
        return losses.detach()

    def _skip(self, step: int, batch: Batch | UnwarpedBatch, loss: float, norm: float) -> list[int]:
        """Count a skipped step. Returns the ids of the images of all ranks."""
        state, limit = self.state, self.settings.max_skipped
        state.optimiser.zero_grad()
        state.skipped += 1
        state.skipped_in_a_row += 1
        image_ids = [image_id for share in self.group.gathered(batch.image_ids) for image_id in share]
        if state.skipped_in_a_row > limit:
            good = checkpoint.last_good(state.checkpoints)
            raise PdError(
                f"the loss is {loss} and the norm of its gradient is {norm} on images {image_ids}, and more than "
                f"{limit} steps in a row (max_skipped) were not finite; the last good checkpoint is {good}",
                where=f"step {step + 1} of {state.folder}",
                fix="Look at these images, or start again with a lower lr; a larger max_skipped goes on from there",
            )
        return image_ids


class _Statistics:
    """The running statistics of the batch norms in training, which a forward pass changes, as they were before it."""

    def __init__(self, network: nn.Module) -> None:
        norms = (m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training)
        self._saved = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()]

    def restore(self) -> None:
        for buffer, value in self._saved:
            buffer.copy_(value)
