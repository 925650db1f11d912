"""Who may ask for a page: checks of every request before it reaches one, and headers on every answer.

What is kept out are other web sites in the same browser and other people on the same network. A site that gives its own
name the address of this machine (DNS rebinding) sends that name as ``Host``; a site that embeds or posts to a page
sends ``Sec-Fetch-Site`` and ``Origin``; who reaches an address that is open to the network needs the token.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK", "Access", "Guard"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Names of this machine as a browser on it writes them."""
COOKIE = "pd_view"
TOKEN = "token"
MAX_BODY = 1_000_000
"""Bytes of what a page may send."""
READING = frozenset({"GET", "HEAD"})
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        hosts: names under which the server may be addressed, without a port; empty allows every name.
        token: what a browser has to show once; empty lets everybody in who reaches the address.
    """

    hosts: frozenset[str] = LOOPBACK
    token: str = ""

    def __post_init__(self) -> None:
        if not self.hosts and not self.token:
            raise ValueError("a server that answers to every name needs a token")

    @classmethod
    def of(cls, host: str, names: Iterable[str] = ()) -> Access:
        """For a server that listens on ``host``: a new token, unless only this machine can reach it.

        Args:
            names: further names of this machine. A server that listens on every address answers to every name.
        """
        bracketed = f"[{host}]" if ":" in host else host
        if bracketed in LOOPBACK:
            return cls()
        every = bracketed in ("", "0.0.0.0", "[::]")
        hosts = frozenset() if every else LOOPBACK | {bracketed.lower(), *(name.lower() for name in names)}
        return cls(hosts, secrets.token_urlsafe(24))

    def knows(self, host: str) -> bool:
        """Whether a request with this ``Host`` is meant for this server."""
        match = _HOST.fullmatch(host)
        return match is not None and (not self.hosts or match[1].lower() in self.hosts)


class Guard:
    """The checks, as ASGI middleware: what does not pass is answered here."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no page speaks over web sockets
        answer = self._refusal(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                message = {**message, "headers": headers.raw}
            await send(message)

        await (self._app if answer is None else answer)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that no page may see; None if a page may."""
        headers = Headers(scope=scope)
        if len(headers.getlist("host")) != 1 or not self._access.knows(headers["host"]):
            return _refused(421, "This server does not answer to that name. Open the address that pd view printed.")
        if not _is_own(scope, headers):
            return _refused(403, "This request comes from another site, so it is refused.")
        if not _is_small(headers, scope["method"]):
            return _refused(413, f"Expected at most {MAX_BODY:,} bytes of a known length.")
        return self._without_token(scope, headers) if self._access.token else None

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """The redirection of a request that brings the token, or the refusal of one that has none."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == TOKEN]
        if given:
            if scope["method"] not in READING or not self._is_token(given[0]):
                return _refused(401, "The token is wrong. Open the address that pd view printed.")
            rest = urlencode([(name, value) for name, value in query if name != TOKEN])
            # The path begins with one slash: two would name another machine.
            target = "/" + scope["path"].lstrip("/\\") + (f"?{rest}" if rest else "")
            answer = RedirectResponse(target, status_code=303)
            answer.set_cookie(COOKIE, self._access.token, httponly=True, samesite="strict")
            return answer
        if not self._is_token(_cookie(headers.get("cookie", ""))):
            return _refused(401, "A token is needed. Open the address that pd view printed.")
        return None

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(), self._access.token.encode())


def _is_own(scope: Scope, headers: Headers) -> bool:
    """Whether a request comes from a page of this server or, if it only reads, from a person."""
    site = headers.get("sec-fetch-site")
    if scope["method"] in READING:
        if site in (None, "same-origin", "none"):
            return True
        # A link on another site may be followed; a picture or a frame there is refused.
        return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if site not in (None, "same-origin"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return site == "same-origin"
    return origin.lower() == f"{scope['scheme']}://{headers['host']}".lower()


def _is_small(headers: Headers, method: str) -> bool:
    length = headers.get("content-length")
    if length is None:
        return method in READING or "transfer-encoding" not in headers
    return length.isascii() and length.isdigit() and int(length) <= MAX_BODY


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _refused(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status_code=status)
