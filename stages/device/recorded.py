"""Many small kernels on a GPU, recorded and started as one (a CUDA graph).

Starting a kernel takes the host about ten microseconds, longer than many kernels run, and threads that start kernels
wait for Python's lock in turns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["Recorded"]

_ONE_AT_A_TIME = threading.Lock()
"""Libraries of torch keep one state for all recordings, such as that of random numbers."""


class Recorded:
    """A function of tensors on a GPU, on a stream other than the default one, that is called with the same shapes.

    What it returns is overwritten by the next call, in the order of the stream; it may be an argument of that call.

    Args:
        function: starts the same kernels in every call, and never looks at the numbers in a tensor. It may make tensors
            of numbers that it knows (``torch.tensor``), which it does not change.
        pool: memory that recordings share, none of which runs beside another, and whose results are not needed any more
            when another one of them is called: see ``torch.cuda.graph_pool_handle``.
    """

    def __init__(self, function: Callable[..., Any], pool: Any = None) -> None:
        self._function, self._pool, self._calls = function, pool, 0
        self._constants = _Constants()
        self._graph = torch.cuda.CUDAGraph()
        self._given: tuple[Tensor, ...] = ()
        self._found: Any = None

    def __call__(self, *given: Tensor) -> Any:
        """
        Raises:
            RuntimeError: (from torch) the function does what cannot be recorded.
        """
        self._calls += 1
        if self._calls == 1:
            # Libraries prepare themselves at their first use, which cannot be recorded.
            with self._constants:
                return self._function(*given)
        if self._calls == 2:
            self._record(given)
        for own, tensor in zip(self._given, given, strict=True):
            own.copy_(tensor)
        self._graph.replay()
        return self._found

    def _record(self, given: Sequence[Tensor]) -> None:
        self._given = tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in given)
        with _ONE_AT_A_TIME:
            # Other threads go on using the device.
            self._graph.capture_begin(self._pool, capture_error_mode="thread_local")
            try:
                with self._constants:
                    self._found = self._function(*self._given)
            finally:
                self._graph.capture_end()


class _Constants(TorchFunctionMode):
    """Tensors on a GPU that are made of numbers in Python are made once: copying them there cannot be recorded."""

    _FUNCTIONS = (torch.tensor, torch.as_tensor)

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, Tensor] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func not in self._FUNCTIONS or isinstance(args[0] if args else None, Tensor):
            return func(*args, **named)
        key = repr((args, sorted(named.items(), key=lambda pair: pair[0])))
        if key not in self._made:
            self._made[key] = func(*args, **named)
        return self._made[key]
