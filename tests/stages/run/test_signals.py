from __future__ import annotations

import os
import signal
import threading

import pytest

from stages.run.signals import StopRequest, stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_requests_a_stop(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    """Inside, the signal is kept and announced; afterwards the former handler is back."""
    former = signal.getsignal(number)
    with stop_on_signals() as request:
        assert not request()
        os.kill(os.getpid(), number)
        assert request() and request.signal == number
    assert signal.getsignal(number) == former
    said = capsys.readouterr().err
    assert f"{number.name}: stopping after this batch." in said
    assert ("Press Ctrl-C again" in said) == (number == signal.SIGINT)


def test_the_second_ctrl_c_stops_at_once() -> None:
    """SIGTERM may come any number of times; only Ctrl-C after Ctrl-C interrupts."""
    request = StopRequest()
    request.handle(signal.SIGTERM, None)
    request.handle(signal.SIGTERM, None)
    request.handle(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        request.handle(signal.SIGINT, None)


def test_handlers_come_back_after_an_error() -> None:
    """Whatever ends the context."""
    former = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), stop_on_signals():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) == former


def test_another_thread_leaves_signals_alone() -> None:
    """Python allows handlers in the main thread only: elsewhere the request stays empty."""
    requests: list[bool] = []

    def work() -> None:
        with stop_on_signals() as request:
            requests.append(request())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert requests == [False]
