"""The memory of a GPU, for those who load no torch of their own."""

from __future__ import annotations

import gc
import sys
from typing import Any

__all__ = ["give_back", "torch_with_gpu"]


def torch_with_gpu() -> Any:
    """The module torch, if it is loaded already and sees a GPU; otherwise None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_available() else None


def give_back() -> None:
    """Give back what a failed attempt held: a GPU's memory is otherwise kept for later."""
    gc.collect()
    if torch := torch_with_gpu():
        torch.cuda.empty_cache()
