"""Signals: SIGTERM, SIGUSR1 and the first Ctrl-C request a stop after the batch; a second Ctrl-C stops at once."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["StopRequest", "stop_on_signals"]


class StopRequest:
    """Returns True, when called, once a signal has requested a stop."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self) -> bool:
        return self.signal != 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
        again = " Press Ctrl-C again to stop at once." if number == signal.SIGINT else ""
        print(f"\n{signal.Signals(number).name}: stopping after this batch.{again}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Catch the signals inside the context and restore the former handlers afterwards.

    Outside of the main thread, where Python allows no handlers, no signal is caught.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    caught = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    former = {number: signal.signal(number, request.handle) for number in caught}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
