from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stages.track.server import unreachable


class Server:
    """A web server on this machine that notes what is asked of it and answers everything with one status."""

    def __init__(self, status: int) -> None:
        asked = self.asked = list[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                asked.append(f"{self.command} {self.path}")
                self.send_response(status)
                self.end_headers()

            def do_CONNECT(self) -> None:
                self.do_HEAD()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Server]]:
    """``serve(status)``: a :class:`Server`; no proxies are set."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    servers: list[Server] = []

    def start(status: int) -> Server:
        servers.append(Server(status))
        return servers[-1]

    yield start
    for one in servers:
        one.server.shutdown()
        one.server.server_close()


@pytest.mark.parametrize("status", [200, 302, 401, 404, 405, 500])
def test_any_answer_of_the_server_will_do(serve: Callable[[int], Server], status: int) -> None:
    """A server of one's own answers as it likes: what counts is that it is there."""
    server = serve(status)
    assert unreachable(f"{server.url}/wandb", {}) == "" and server.asked == ["HEAD /wandb"]


@pytest.mark.parametrize("how", ["environment", "settings"])
def test_a_proxy_is_asked(serve: Callable[[int], Server], how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy gets the call, for http and (by CONNECT) for https; the server's own name need not be known here."""
    proxy = serve(200)
    if how == "environment":
        monkeypatch.setenv("HTTP_PROXY".lower(), proxy.url)
        monkeypatch.setenv("HTTPS_PROXY".lower(), proxy.url)
    given = {"http": proxy.url, "https": proxy.url} if how == "settings" else {}
    assert unreachable("http://wandb.invalid/x", given) == ""
    unreachable("https://wandb.invalid/x", given)
    assert proxy.asked == ["HEAD http://wandb.invalid/x", "CONNECT wandb.invalid:443"]


def test_what_does_not_answer_is_a_reason(serve: Callable[[int], Server]) -> None:
    """A name that is not known, a closed port, a proxy that does not get through, and no address at all."""
    closed = serve(200)
    closed.server.shutdown()
    closed.server.server_close()
    assert unreachable(closed.url, {}).startswith(f"{closed.url} does not answer (")
    assert "answers 502" in unreachable("http://wandb.invalid", {"http": serve(502).url})
    assert "does not answer" in unreachable("nonsense", {})
