"""One worker: the command that starts it, and the GPUs that workers share."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cli.options import Request
from pdstore import Store
from pdstore.errors import UsageError

__all__ = ["devices_for", "worker_command"]


def worker_command(store: Store, node: str, request: Request, overrides: Sequence[str]) -> list[str]:
    """The words that start one worker: this Python, the same store, node, options and overrides."""
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
    return [sys.executable, "-m", "cli", "--store", url, "stage", "run", node, *flags, *overrides]


def devices_for(gpus: int) -> list[str]:
    """The names of ``gpus`` GPUs; raises UsageError if there are fewer."""
    if not gpus:
        return []
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = torch.cuda.device_count()
    if found < gpus:
        fix = f"Ask for --gpus {found}" if found else "Use --workers N to share the CPU"
        raise UsageError(f"expected {gpus} GPUs, found {found}", "--gpus", fix)
    return named.split(",")[:gpus] if named else [str(number) for number in range(gpus)]
