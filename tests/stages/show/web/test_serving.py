from __future__ import annotations

import socket
import threading
import urllib.request

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from pdstore.errors import UsageError
from stages.show.web import serving
from stages.show.web.security import LOOPBACK
from stages.show.web.serving import listen, serve


def test_an_address_of_this_machine_has_no_token() -> None:
    """A free port is taken, and only the loopback's names are known."""
    listener = listen("127.0.0.1", 0)
    with listener.socket:
        port = listener.socket.getsockname()[1]
        assert listener.address == f"http://127.0.0.1:{port}/" and listener.access.hosts == LOOPBACK


def test_every_address_needs_a_token() -> None:
    """The address to open names this machine and has the token."""
    listener = listen("0.0.0.0", 0)
    with listener.socket:
        assert listener.address.startswith(f"http://{socket.gethostname()}:")
        assert listener.address.endswith(f"/?token={listener.access.token}") and listener.access.token


@pytest.mark.parametrize("host", ["192.0.2.1", "not a host"])
def test_an_address_that_is_taken_or_elsewhere_is_an_error(host: str) -> None:
    """The message says where, and names the way out."""
    with pytest.raises(UsageError, match=r"cannot listen there: .+ --port 0 takes a free one"):
        listen(host, 0)
    listener = listen("127.0.0.1", 0)
    with listener.socket, pytest.raises(UsageError, match=r"cannot listen there"):
        listen("127.0.0.1", listener.socket.getsockname()[1])


def test_requests_are_answered_until_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app answers at the listener's address, and the server does not say what it is."""
    servers: list[uvicorn.Server] = []

    class Kept(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr(serving.uvicorn, "Server", Kept)
    listener = listen("127.0.0.1", 0)

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        if scope["type"] == "http":
            await PlainTextResponse("here")(scope, receive, send)
            return
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    thread = threading.Thread(target=serve, args=(app, listener), daemon=True)
    thread.start()
    try:
        with urllib.request.urlopen(listener.address, timeout=20) as answer:
            assert answer.read() == b"here" and "server" not in answer.headers
    finally:
        servers[0].should_exit = True
        thread.join(20)
    assert not thread.is_alive()
