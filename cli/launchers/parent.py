"""A worker that ends with the process that started it, even if that is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["STOP_WITH_PARENT", "stop_with_parent"]

STOP_WITH_PARENT = "PD_STOP_WITH_PARENT"
"""Environment variable that holds the process id of the parent with which a worker has to end."""

_PR_SET_PDEATHSIG = 1


def stop_with_parent() -> None:
    """If the environment asks for it: be sent SIGTERM when the parent ends. Linux only; elsewhere nothing happens.

    It is called once the signal is handled: so the worker stops after its batch.
    """
    parent = os.environ.pop(STOP_WITH_PARENT, "")
    if not parent or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != int(parent):
        # It ended before the kernel was asked.
        os.kill(os.getpid(), signal.SIGTERM)
