"""The passes of a network. On a GPU the host only says which one is next, and prepares its input in the meantime.

A pass of a Swin-L is some thousand kernels, which one thread of Python starts hardly faster than a GPU computes them,
and slower if it shares Python's lock with threads that decode pictures and encode masks. So a pass is recorded once for
each shape of its input, and started as one. The recorded kernels are the same, and so are their results.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from stages.device.memory import give_back
from stages.device.recorded import Recorded

__all__ = ["Passes"]

Pass = Callable[..., tuple[Tensor, ...]]
MOST = 32
"""Recordings that are kept; those not used for longest are forgotten. They share the memory in which they compute."""


class Passes:
    """Computes functions of tensors on a device, one after the other.

    On a GPU they have a stream of their own, for which the caller's stream waits. Elsewhere they are plain calls.

    Args:
        device: of the tensors.
        record: whether a function that is called with the same shapes again is recorded. It must then start the same
            kernels in every call, never look at the numbers in a tensor, and use the same weights.
    """

    def __init__(self, device: torch.device, *, record: bool) -> None:
        self._device, self._is_gpu = device, device.type == "cuda"
        self._record = record and self._is_gpu
        self._recorded: OrderedDict[Hashable, Recorded] = OrderedDict()
        if self._is_gpu:
            self._stream, self._uploads = torch.cuda.Stream(device), torch.cuda.Stream(device)
            self._pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """What is copied to a GPU inside does not wait for the passes before, as it would on their stream."""
        if not self._is_gpu:
            yield
            return
        with torch.cuda.stream(self._uploads):
            yield

    def __call__(self, name: Hashable, function: Pass, *given: Tensor) -> tuple[Tensor, ...]:
        """What ``function`` gives for tensors that were made in :meth:`uploading`.

        Args:
            name: tells apart functions that take the same shapes.
        """
        if not self._is_gpu:
            return function(*given)
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(self._uploads)
        self._stream.wait_stream(current)
        for tensor in given:
            tensor.record_stream(self._stream)
        with torch.cuda.stream(self._stream):
            found = self._computed(name, function, given)
        current.wait_stream(self._stream)
        for tensor in found:
            tensor.record_stream(current)
        return found

    def _computed(self, name: Hashable, function: Pass, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not self._record:
            return function(*given)
        try:
            recorded = self._kept((name, *(tensor.shape for tensor in given)), function)
            return tuple(tensor.clone() for tensor in recorded(*given))
        except RuntimeError as error:
            # Either it does not fit, or it cannot be recorded; if the function itself fails, it does so again below.
            said = " ".join(str(error).split())[:200]
        self._record = False
        self._recorded.clear()
        give_back()
        found = function(*given)
        text = f"The network's passes cannot be recorded, and may be slower: {said}"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return found

    def _kept(self, key: Hashable, function: Pass) -> Recorded:
        if key not in self._recorded:
            self._recorded[key] = Recorded(function, self._pool)
            if len(self._recorded) > MOST:
                self._recorded.popitem(last=False)
        self._recorded.move_to_end(key)
        return self._recorded[key]
