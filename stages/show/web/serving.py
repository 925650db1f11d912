"""The server of the pages: a socket that listens, and the address to open."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlencode

import uvicorn
from starlette.types import ASGIApp

from pdstore.errors import UsageError
from stages.show.web.security import TOKEN, Access

__all__ = ["Listener", "listen", "serve"]


@dataclass(frozen=True)
class Listener:
    """A socket that listens, and who may ask there.

    Attributes:
        host: the name that a browser uses.
    """

    socket: socket.socket
    host: str
    access: Access

    @property
    def address(self) -> str:
        """What to open in a browser, with the token if one is needed."""
        query = f"?{urlencode({TOKEN: self.access.token})}" if self.access.token else ""
        return f"http://{self.host}:{self.socket.getsockname()[1]}/{query}"


def listen(host: str, port: int) -> Listener:
    """Listen on an address. Only this machine may ask without a token.

    Args:
        port: 0 takes a free one.

    Raises:
        UsageError: the address does not belong to this machine, or another program listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(64)
    except (OSError, OverflowError) as error:
        found.close()
        fix = "Choose another port: pd view --port 0 takes a free one"
        raise UsageError(f"cannot listen there: {error!s}", f"{host}:{port}", fix) from None
    machine = socket.gethostname()
    access = Access.of(host, [machine])
    name = machine if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return Listener(found, name, access)


def serve(app: ASGIApp, listener: Listener) -> None:
    """Answer requests until the process is asked to stop."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, ws="none", lifespan="on")
    uvicorn.Server(config).run(sockets=[listener.socket])
