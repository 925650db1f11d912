from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from stages.show.web.security import LOOPBACK, MAX_BODY, Access, Guard

HOST = "http://127.0.0.1:8770"
OWN = {"origin": HOST}


async def _answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.url.path + ("?" + request.url.query if request.url.query else ""))


def _client(access: Access, base_url: str = HOST) -> TestClient:
    app = Starlette(routes=[Route("/{path:path}", _answer, methods=["GET", "POST"])])
    return TestClient(Guard(app, access), base_url=base_url, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1:8770", "localhost", "LOCALHOST:1", "[::1]:8770"])
def test_this_machine_is_known_under_its_names(host: str) -> None:
    """The names of the loopback pass, with any port."""
    assert _client(Access()).get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "a b"])
def test_other_names_are_refused(host: str) -> None:
    """A site that gives its own name the address of this machine gets nothing."""
    answer = _client(Access()).get("/", headers={"host": host})
    assert answer.status_code == 421 and "/" not in answer.text


def test_every_answer_has_the_headers() -> None:
    """Pages and refusals alike are not cached, not framed, and run no inline script."""
    for host in ("127.0.0.1", "evil.example"):
        headers = _client(Access()).get("/", headers={"host": host}).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy
        assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
    ],
)
def test_other_sites_cannot_embed_a_page(headers: dict[str, str], status: int) -> None:
    """A link from elsewhere may be followed; pictures, frames and scripts elsewhere get nothing."""
    assert _client(Access()).get("/", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OWN, 200),
        ({**OWN, "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8771"}, 403),
        ({"origin": "https://127.0.0.1:8770"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({**OWN, "sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
    ],
)
def test_only_a_page_of_this_server_may_write(headers: dict[str, str], status: int) -> None:
    """A POST needs the server's own origin."""
    assert _client(Access()).post("/", headers=headers).status_code == status


def test_what_is_sent_is_bounded() -> None:
    """A body that is too long, or whose length is not said, is refused before it is read."""
    client = _client(Access())
    assert client.post("/", headers=OWN, content=b"x" * (MAX_BODY + 1)).status_code == 413
    assert client.post("/", headers=OWN, content=iter([b"x"])).status_code == 413
    assert client.post("/", headers={**OWN, "content-length": "-1"}, content=b"").status_code == 413


def test_a_token_is_needed_if_others_can_reach_the_address() -> None:
    """Without it nothing is shown; with it a cookie is set, and the token leaves the address."""
    access = Access.of("192.0.2.7")
    client = _client(access, "http://192.0.2.7:8770")
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == client.get("/?token=").status_code == 401
    assert client.post(f"/?token={access.token}", headers={"origin": "http://192.0.2.7:8770"}).status_code == 401
    answer = client.get(f"/image/5?a=1&token={access.token}&b=%26")
    assert (answer.status_code, answer.headers["location"]) == (303, "/image/5?a=1&b=%26")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert client.get("/image/5").text == "/image/5"
    client.cookies.set("pd_view", "wrong")
    client.cookies.delete("pd_view", domain="192.0.2.7")
    assert client.get("/image/5", headers={"cookie": "pd_view=wrong"}).status_code == 401
    assert client.get("/image/5", headers={"cookie": "pd_view=wr\u00f6ng".encode("latin-1")}).status_code == 401


def test_a_redirection_stays_on_this_server() -> None:
    """A path that begins with two slashes would name another machine."""
    access = Access.of("192.0.2.7")
    client = _client(access, "http://192.0.2.7:8770")
    answer = client.get(f"http://192.0.2.7:8770//evil.example/?token={access.token}")
    assert answer.headers["location"] == "/evil.example/"


def test_who_may_ask_follows_from_the_host() -> None:
    """The loopback needs no token; every address answers to every name and needs one."""
    assert Access.of("127.0.0.1") == Access.of("::1") == Access(LOOPBACK)
    assert Access.of("0.0.0.0").hosts == frozenset() and len(Access.of("0.0.0.0").token) >= 32
    named = Access.of("192.0.2.7", ["Machine"])
    assert named.knows("machine:8770") and named.knows("localhost") and not named.knows("other")
    with pytest.raises(ValueError, match="needs a token"):
        Access(frozenset())
