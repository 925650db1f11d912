"""``pd view``."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from cli.verbs import view
from tests.cli.conftest import Pd


def _started(store: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "cli", "--store", str(store), "view", "--port", "0", "--no-open", *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(view.__file__).parents[2])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)


def test_the_address_is_printed_and_answers(pd: Pd, store: Path) -> None:
    """Stdout has the address alone; Ctrl-C ends the server with exit code 0."""
    assert pd("stage", "run", "ingest").code == 0
    server = _started(store)
    try:
        address = server.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"Gallery" in answer.read()
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0 and server.stdout.read() == ""
    finally:
        server.kill()
        server.stdout.close()
        server.wait()


def test_a_missing_package_is_named(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    for name in [name for name in sys.modules if name.startswith("stages.show.web")]:
        monkeypatch.delitem(sys.modules, name)
    result = pd("view", "--no-open")
    assert result.code == 2
    assert "the pages need starlette" in result.err and "pip install 'pdstore[view]'" in result.err


def test_an_address_elsewhere_and_no_store_are_errors(pd: Pd, store: Path) -> None:
    """Each is one line, and nothing is served."""
    assert "cannot listen there" in pd("view", "--host", "192.0.2.1", "--no-open").err
    assert pd("--store", "nowhere", "view", "--no-open").code == 2
    assert pd("view", "--port", "70000").code == 2
