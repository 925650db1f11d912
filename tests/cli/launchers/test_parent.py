"""A worker that ends with the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.launchers.parent import STOP_WITH_PARENT, stop_with_parent

CHILD = """
import signal, sys, time
from cli.launchers.parent import stop_with_parent
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], "a").write("told"), sys.exit(75)))
stop_with_parent()
open(sys.argv[1], "a").write("begun ")
time.sleep(60)
"""
PARENT = f"""
import os, subprocess, sys, time
environment = {{**os.environ, "{STOP_WITH_PARENT}": str(os.getpid())}}
subprocess.Popen([sys.executable, "-c", {CHILD!r}, sys.argv[1]], env=environment)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_killed_parent_stops_its_worker(tmp_path: Path) -> None:
    """The worker is told to stop, as by any SIGTERM."""
    said = tmp_path / "said"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(said)])
    _wait_for(said, "begun ")
    parent.kill()
    parent.wait()
    _wait_for(said, "begun told")


def test_without_the_variable_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other process goes on after its parent; a parent that has ended before is noticed."""
    monkeypatch.delenv(STOP_WITH_PARENT, raising=False)
    stop_with_parent()
    told: list[int] = []
    former = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        monkeypatch.setenv(STOP_WITH_PARENT, "1" if os.getppid() != 1 else "2")
        if sys.platform == "linux":
            stop_with_parent()
            assert told == [signal.SIGTERM] and STOP_WITH_PARENT not in os.environ
    finally:
        signal.signal(signal.SIGTERM, former)


def _wait_for(file: Path, text: str) -> None:
    for _ in range(600):
        if file.exists() and file.read_text() == text:
            return
        time.sleep(0.05)
    raise AssertionError(f"expected {text!r}, found {file.read_text() if file.exists() else 'no file'!r}")
