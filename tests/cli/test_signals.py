"""Ctrl-C, SIGTERM, SIGUSR1 and closed pipes: an exit code, one line, no traceback, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


class TestSignals:
    def test_ctrl_c_once_stops_after_the_batch(self, store: Path) -> None:
        """Ctrl-C gives exit code 130, SIGTERM and SIGUSR1 75, each with one line that says how to continue."""
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGUSR1, 75)):
            process = _start(store, "run", "ingest")
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
            assert process.returncode == code and "Traceback" not in err
            assert "Run the same command again to continue" in err

    def test_ctrl_c_twice_stops_at_once(self, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The exit code is 130, there is no traceback, and the next run continues."""
        monkeypatch.setenv("SECONDS_PER_IMAGE", "4")  # the second signal comes in time on a busy machine, too
        process = _start(store, "run", "ingest")
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130 and "Traceback" not in err and "interrupted" in err
        done = subprocess.run(
            _words(store, "run", "ingest"), capture_output=True, text=True, timeout=60, check=False, env=_environment()
        )
        assert done.returncode == 0, done.stderr

    def test_a_signal_while_the_program_loads(self, store: Path) -> None:
        """Before the verb's module can catch the signal, the exit code is 75 (Ctrl-C: 130) with one line."""
        for number, code in ((signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)):
            done = subprocess.run(
                [sys.executable, "-c", _SIGNAL_AT_IMPORT, str(number.value), "--store", str(store), "run"],
                capture_output=True, text=True, timeout=60, check=False, env=_environment(),
            )  # fmt: skip
            assert done.returncode == code and done.stdout == "", done
            assert (
                len(done.stderr.strip().splitlines()) == 1 and "run the same command again to continue" in done.stderr
            )

    def test_a_reader_that_stops_early(self, store: Path) -> None:
        """`pd sql … | head -1` is quiet."""
        query = "SELECT repeat('x', 1000) FROM range(20000)"
        words = " ".join(_words(store, "sql", f'"{query}"', "--format", "csv"))
        command = ["bash", "-c", f"{words} | head -1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=_environment())
        assert done.stderr == "" and len(done.stdout.splitlines()) == 1


_SIGNAL_AT_IMPORT = r"""
import importlib, os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with Ctrl-C ignored

load, number = importlib.import_module, int(sys.argv.pop(1))
def signalled(name, package=None):
    importlib.import_module = load
    os.kill(os.getpid(), number)
    for _ in range(100):  # here Python looks for signals; inside an import it may lose the exception
        pass
    return load(name, package)

importlib.import_module = signalled
import pytest

from cli.main import main
main()
"""
_SLOW_CLI = r"""
import os, sys, time
import stages.source.images as images
import stages.nodes.ingest as ingest

slow = images.decode
def decode(*given, **named):
    os.write(1, b"working\n")
    time.sleep(float(os.environ.get("SECONDS_PER_IMAGE", "1")))
    return slow(*given, **named)

ingest.decode = decode
from cli.main import main
main()
"""


def _start(store: Path, *words: str) -> subprocess.Popen[str]:
    """``pd`` with an ingest that takes one second per image; returns once ingest has begun."""
    command = [sys.executable, "-c", _SLOW_CLI, "--store", str(store), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment())
    assert process.stdout is not None
    if process.stdout.readline() != "working\n":
        raise AssertionError(process.communicate()[1])
    return process


def _words(store: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "cli", "--store", str(store), *words]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
