"""The most memory that a piece of work takes: of this process, and of the GPU."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stages.device.memory import torch_with_gpu

__all__ = ["Peak", "PeakMemory"]

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Peak:
    """Bytes of main memory of the whole process, and of the GPU; 0 without a GPU."""

    memory: int
    device: int


@dataclass
class PeakMemory:
    """Node -> the peak while it worked.

    Bias: main memory includes what earlier work of the process has left, such as libraries. Where the system cannot
    forget a peak (other than Linux), it is that of the process up to then.
    """

    by_node: dict[str, Peak] = field(default_factory=dict)

    @contextlib.contextmanager
    def watch(self, names: Sequence[str]) -> Iterator[None]:
        """Measure what runs inside, for these nodes, also if it raises."""
        _forget()
        try:
            yield
        finally:
            self.by_node |= dict.fromkeys(names, Peak(_peak(), _device_peak()))


def _forget() -> None:
    with contextlib.suppress(OSError):
        CLEAR.write_text("5")
    if torch := torch_with_gpu():
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _device_peak() -> int:
    torch = torch_with_gpu()
    return int(torch.cuda.max_memory_reserved()) if torch else 0
