"""How the loops over runs are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """``function``, compiled when it is first called and kept on disk for later processes."""
    try:
        return cast(Function, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:
        # There is no folder that can be written, neither beside this file nor in the user's home.
        return cast(Function, numba.njit(nogil=True)(function))
