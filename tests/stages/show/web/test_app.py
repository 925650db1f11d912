from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pdstore import Store
from pdstore.errors import UsageError
from stages.show.web.app import web_app
from stages.show.web.registry import PAGES
from stages.show.web.security import Access


def test_every_page_of_the_menu_answers(client: TestClient) -> None:
    """Each is there, and its own word in the menu is marked."""
    for page in PAGES:
        if page.title:
            text = client.get(page.path).text
            assert f'href="{page.path}" aria-current="page">{page.title}</a>' in text


def test_no_page_has_a_script_or_a_style_of_its_own(client: TestClient) -> None:
    """What the policy of the pages forbids is not in them: no inline script, style or handler."""
    for path in ("/", "/image/0", "/nothing"):
        text = client.get(path).text
        scripts = text.split("<script")[1:]
        assert scripts and all(' src="/static/' in script.split(">")[0] for script in scripts)
        assert "<style" not in text and " style=" not in text and " onclick=" not in text
        assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text


@pytest.mark.parametrize("name", ["app.js", "style.css", "htmx.min.js", "openseadragon.min.js", "icon.svg"])
def test_static_files_are_there(client: TestClient, name: str) -> None:
    """They are sent with their type, and not again while they are the same."""
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 200 and len(answer.content) > 100
    assert client.get(f"/static/{name}", headers={"if-none-match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/NOTICE", "/static//etc/passwd"]
)
def test_no_other_file_is_sent(client: TestClient, path: str) -> None:
    """A path names one of the listed files or nothing."""
    answer = client.get(path)
    assert answer.status_code == 404 and "There is no such page" in answer.text


def test_a_page_that_only_reads_refuses_a_post(client: TestClient) -> None:
    """The method is refused even with the right origin."""
    assert client.post("/", headers={"origin": "http://127.0.0.1:8770"}).status_code == 405


def test_the_guard_stands_before_every_page(viewed: Store, open_client: Callable[..., TestClient]) -> None:
    """Other hosts, other sites and a missing token reach no page and no static file."""
    client = open_client(viewed, Access(token="secret"))
    for path in ("/", "/image/0", "/picture/0", "/static/app.js", "/nothing"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"host": "evil.example"}).status_code == 421
        assert client.get(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/?token=secret").headers["location"] == "/"
    assert client.get("/").status_code == 200


def test_a_snapshot_that_is_no_number_is_the_newest(client: TestClient) -> None:
    """Whatever an address names, the page is shown."""
    for number in ("x", "99", "9" * 40, "²", "-1"):
        assert client.get("/", params={"snapshot": number}).status_code == 200


def test_what_is_no_store_is_an_error(tmp_path: Path) -> None:
    """The server does not start."""
    with pytest.raises(UsageError):
        web_app(str(tmp_path))
