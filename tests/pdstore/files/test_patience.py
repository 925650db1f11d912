from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("s3fs")

from pdstore.errors import StorageFailure, StoreUnreachable
from pdstore.files import Files, patience
from pdstore.files.patience import PATIENCE


@dataclass
class Faulty:
    """A server of objects whose first answers are faults: a status of HTTP, or 0 for a connection that is closed."""

    url: str = ""
    faults: list[int] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: int = 0


@pytest.fixture
def server() -> Iterator[Faulty]:
    state = Faulty()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _is_faulty(self) -> bool:
            state.asked += 1
            fault = state.faults.pop(0) if state.faults else -1
            if fault == 0:
                self.close_connection = True
                self.connection.close()
            elif fault > 0:
                code = b"SlowDown" if fault >= 500 else b"InvalidRequest"
                self._answer(fault, b"<Error><Code>%s</Code><Message>secret-key</Message></Error>" % code)
            return fault >= 0

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not self._is_faulty():
                state.objects[self.path] = body
                self._answer(200)

        def do_GET(self) -> None:
            if not self._is_faulty():
                self._answer(200, state.objects[self.path])

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{http.server_port}"
    yield state
    http.shutdown()
    http.server_close()


@pytest.fixture
def files(server: Faulty, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(patience, "FIRST_S", 0.01)
    options: dict[str, Any] = {"key": "a-key", "secret": "secret-key", "client_kwargs": {"endpoint_url": server.url}}
    return Files("s3://bucket/store", **options)


@pytest.mark.parametrize("faults", [[503] * 6, [0] * 6, [500, 0, 502, 503, 504, 0]])
def test_what_is_transient_is_tried_again(files: Files, server: Faulty, faults: list[int]) -> None:
    """Whatever is busy or is cut off: the write arrives whole and the read gives all of it."""
    server.faults = list(faults)
    files.write("a", b"content")
    server.faults = list(faults)
    assert files.read("a") == b"content" and server.faults == []
    assert server.asked == 2 * len(faults) + 2


def test_patience_ends(files: Files, server: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error that says what was answered and what to do, and names neither key nor secret."""
    monkeypatch.setenv(PATIENCE, "0.5")
    files.write("a", b"1")
    server.faults = [503] * 1000
    with pytest.raises(StoreUnreachable, match=r"s3://bucket/store/a: .*could not be reached.*503|SlowDown") as read:
        files.read("a")
    with pytest.raises(StorageFailure, match="what was committed is safe") as write:
        files.write("a", b"2")
    for caught in (read, write):
        assert "a-key" not in str(caught.value) and "secret-key" not in str(caught.value)


def test_a_long_wait_is_told_once(
    files: Files, server: Faulty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In one line, however often the request is repeated."""
    monkeypatch.setattr(patience, "TOLD_AFTER_S", 0.02)
    server.faults = [503] * 6
    with caplog.at_level(logging.WARNING):
        files.write("a", b"1")
    [line] = [record.getMessage() for record in caplog.records if record.name == "pdstore.files.patience"]
    assert "trying again for up to" in line and "secret-key" not in line


def test_what_would_fail_again_is_not_repeated(files: Files, server: Faulty) -> None:
    """Such as a request that is wrong."""
    server.faults = [400]
    with pytest.raises(StorageFailure):
        files.write("a", b"1")
    assert server.asked == 1
