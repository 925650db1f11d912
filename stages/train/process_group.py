"""The processes that train one network together, started by torchrun (or alone): what they tell each other.

A rank sees its slice of every batch; gradients, totals and requests to stop are summed, so that all ranks take the
same steps.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["ALONE", "ProcessGroup", "join", "synchronise_norms"]

BUCKET_ELEMENTS = 16 * 2**20
"""Gradients are summed in pieces of about so many numbers: few messages, little extra memory."""


@dataclass(frozen=True)
class ProcessGroup:
    """The place of this process among all; alone it talks to nobody."""

    rank: int = 0
    size: int = 1

    @staticmethod
    def of_this_process() -> ProcessGroup:
        """The place of a process that has met the others, or alone."""
        return ProcessGroup(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else ALONE

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of a small tensor over the ranks, on its device."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def total_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum every gradient over the ranks, in place; where a rank has none it counts as 0."""
        if self.size == 1:
            return
        bucket: list[Tensor] = []
        for parameter in parameters:
            if not parameter.requires_grad:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if bucket and sum(g.numel() for g in bucket) + parameter.numel() > BUCKET_ELEMENTS:
                _total_bucket(bucket)
                bucket = []
            bucket.append(parameter.grad)
        if bucket:
            _total_bucket(bucket)

    def gathered(self, value: Any) -> list[Any]:
        """The value of every rank, in their order."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def told(self, value: Any = None) -> Any:
        """What the first rank says."""
        if self.size == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def leave(self) -> None:
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


ALONE = ProcessGroup()


def join() -> ProcessGroup:
    """Meet the other processes that torchrun started: over NCCL if every rank has a GPU, else over gloo.

    Waits as long as it takes for a slow rank; when one dies, torchrun ends the others.
    """
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo", timeout=timedelta(days=1))
    return ProcessGroup(dist.get_rank(), dist.get_world_size())


def _total_bucket(gradients: list[Tensor]) -> None:
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


class _Total(torch.autograd.Function):
    """A sum over the ranks through which gradients flow: the gradient of a sum is the sum of the gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient


class _SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm with the statistics of the whole batch of all ranks. torch's own version needs a GPU."""

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return super().forward(values)
        count = values.numel() / values.shape[1]
        own = torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), values.new_tensor([count])])
        sums = _Total.apply(own.double())
        width, whole = values.shape[1], sums[-1]
        mean = sums[:width] / whole
        variance = (sums[width : 2 * width] / whole - mean.square()).clamp(min=0)
        self._remember(mean.detach(), (variance * whole / (whole - 1)).detach())
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return values * scale.to(values.dtype)[:, None, None] + shift.to(values.dtype)[:, None, None]

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)  # type: ignore[union-attr]
        self.running_var.lerp_(variance.to(self.running_var), self.momentum)  # type: ignore[union-attr]


def synchronise_norms(network: nn.Module, group: ProcessGroup) -> None:
    """Let every batch norm of a network see all ranks' images; names and values of its state stay as they are."""
    if group.size == 1:
        return
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                shared = _SharedBatchNorm(child.num_features, child.eps, child.momentum)
                shared.load_state_dict(child.state_dict())
                shared.train(child.training)
                for key, parameter in child.named_parameters():
                    setattr(shared, key, parameter)  # the very same: optimisers and averages keep pointing at it
                setattr(module, name, shared.to(child.weight.device))
