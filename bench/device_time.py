"""How long a device computes while some work is done: the union of the times of its kernels, by torch's profiler."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

__all__ = ["busy_seconds", "synchronise", "union"]


def union(spans: Iterable[tuple[float, float]]) -> float:
    """The length of (begin, end) spans together, where those that overlap count once."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def synchronise(device: str) -> None:
    """Wait until the device has computed everything."""
    if device == "cuda":
        torch.cuda.synchronize()


def busy_seconds(work: Callable[[], object], device: str) -> float:
    """Seconds in which ``device`` computes for ``work``, copies left out; on a CPU, in which torch does anything."""
    is_gpu = device == "cuda"
    activities = [ProfilerActivity.CUDA] if is_gpu else [ProfilerActivity.CPU]
    with profile(activities=activities) as profiled:
        work()
        synchronise(device)
    wanted = DeviceType.CUDA if is_gpu else DeviceType.CPU
    events = [event for event in profiled.events() or () if event.device_type == wanted]
    spans = [e.time_range for e in events if not e.name.startswith(("Memcpy", "Memset"))]
    return union((span.start, span.end) for span in spans) / 1e6
