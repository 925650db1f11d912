"""The processes that train one network together, started by torchrun, or a single process: how they communicate.

A rank sees its slice of every batch. Gradients, totals and requests to stop are summed over the ranks, so that all
ranks take the same steps.
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
"""Gradients are summed in buckets of about this many numbers: that takes few messages and little extra memory."""


@dataclass(frozen=True)
class ProcessGroup:
    """The rank of a process among all processes. A single process communicates with nobody."""

    rank: int = 0
    size: int = 1

    @staticmethod
    def of_this_process() -> ProcessGroup:
        """The group that this process has joined, or :data:`ALONE`."""
        return ProcessGroup(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else ALONE

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of a small tensor over all ranks, on the tensor's device."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def total_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum every gradient over all ranks, in place; a missing gradient counts as 0."""
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
        """The value of every rank, in the order of the ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def told(self, value: Any = None) -> Any:
        """The value that the first rank passes; the other ranks' values are ignored."""
        if self.size == 1:
            return value
        sent = [value]
        dist.broadcast_object_list(sent, src=0)
        return sent[0]

    def leave(self) -> None:
        """Take leave of the other processes; communication is over."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


ALONE = ProcessGroup()


def join() -> ProcessGroup:
    """Join the other processes that torchrun started: over NCCL if every rank has a GPU, otherwise over gloo.

    A slow rank is waited for as long as it takes; if a rank dies, torchrun ends the others.
    """
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo", timeout=timedelta(days=1))
    return ProcessGroup(dist.get_rank(), dist.get_world_size())


def _total_bucket(gradients: list[Tensor]) -> None:
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, summed in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


class _Total(torch.autograd.Function):
    """A differentiable sum over the ranks: the gradient of a sum is the sum of the gradients."""

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
    """Batch norm with the statistics of the whole batch on all ranks. The version in torch needs a GPU."""

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return super().forward(values)
        count = values.numel() / values.shape[1]
        of_rank = torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), values.new_tensor([count])])
        sums: Tensor = _Total.apply(of_rank.double())
        width, whole = values.shape[1], sums[-1]
        mean = sums[:width] / whole
        variance = (sums[width : 2 * width] / whole - mean.square()).clamp(min=0)
        self._remember(mean.detach(), (variance * whole / (whole - 1)).detach())
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return values * scale.to(values.dtype)[:, None, None] + shift.to(values.dtype)[:, None, None]

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None
        # torch leaves these out of norms that keep no statistics; ours always keep them.
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var), self.momentum)


def synchronise_norms(network: nn.Module, group: ProcessGroup) -> None:
    """Let every batch norm of a network see the images of all ranks. Names and values of its state stay the same."""
    if group.size == 1:
        return
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                shared = _SharedBatchNorm(child.num_features, child.eps, child.momentum)
                shared.load_state_dict(child.state_dict())
                shared.train(child.training)
                for key, parameter in child.named_parameters():
                    setattr(shared, key, parameter)  # the same object: optimisers and averages still refer to it
                setattr(module, name, shared.to(child.weight.device))
