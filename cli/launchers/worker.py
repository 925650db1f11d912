"""The command that starts one worker, and the GPUs that workers are given."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cli
from cli.options import Request
from pdstore import Store
from pdstore.errors import UsageError

__all__ = ["PROGRAM", "devices_for", "num_gpus", "worker_command"]

PROGRAM = Path(cli.__file__).with_name("__main__.py")


def worker_command(store: Store, nodes: Sequence[str], request: Request, overrides: Sequence[str]) -> list[str]:
    """The command line of one worker: this Python with the same store, nodes, options and overrides."""
    url = store.files.root if store.files.is_local else store.url
    options, flags = request.options, []
    for name in ("allow_partial", "new_layer", "refresh", "wait"):
        if getattr(options, name):
            flags.append(f"--{name.replace('_', '-')}")
    if options.shard:
        flags += ["--shard", f"{options.shard.k}/{options.shard.n}"]
    if options.limit:
        flags += ["--limit", str(options.limit)]
    flags += ["--retries", str(options.retries), "--max-error-rate", str(options.max_error_rate)]
    return [sys.executable, "-P", str(PROGRAM), "--store", url, "stage", "run", *nodes, *flags, *overrides]


def devices_for(gpus: int) -> list[str]:
    """The names of the first ``gpus`` GPUs, as CUDA_VISIBLE_DEVICES takes them; no names for 0.

    Raises:
        UsageError: there are fewer GPUs.
    """
    if not gpus:
        return []
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    available = torch.cuda.device_count()
    if available < gpus:
        fix = f"Use --gpus {available}" if available else "Use --workers N to run on the CPU"
        raise UsageError(f"expected {gpus} GPUs, found {available}", "--gpus", fix)
    return named.split(",")[:gpus] if named else [str(number) for number in range(gpus)]


def num_gpus() -> int:
    """How many GPUs this process may use."""
    import torch

    return int(torch.cuda.device_count())
