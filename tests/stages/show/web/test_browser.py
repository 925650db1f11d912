"""The pages in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from pdstore import Store
from stages.show.web.app import web_app
from stages.show.web.serving import listen
from tests.stages.show.web.conftest import MARKUP

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    # Playwright's own event loop is closed by its garbage collection.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")


@pytest.fixture(scope="module")
def address(viewed: Store) -> Iterator[str]:
    """Where the pages of the finished store are served."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(web_app(viewed.url), log_level="warning", ws="none", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener.socket]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    yield listener.address
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(params=[1440, 390], ids=["wide", "narrow"])
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of this width. Errors in its console fail the test."""
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    found, problems = context.new_page(), []
    found.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    found.on("pageerror", lambda error: problems.append(str(error)))
    found.on("dialog", lambda dialog: problems.append(f"a dialog: {dialog.message}"))
    yield found
    context.close()
    assert problems == []


def _settled(page: Any) -> None:
    page.wait_for_load_state("networkidle")


def test_a_walk_through_the_pages(page: Any, address: str) -> None:
    """Open, filter by SQL, change the layer and the outlines by keys, open an image, enlarge it, and go on."""
    page.goto(address)
    _settled(page)
    assert page.locator(".card").count() == 12
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.keyboard.press("/")
    page.keyboard.type("width > height")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?where=width*")
    _settled(page)
    assert page.locator(".card").count() == 4 and "where=width+%3E+height" in page.url
    loaded = "[...document.querySelectorAll('.photo')].every((i) => !i.complete || i.naturalWidth > 0)"
    assert page.evaluate(loaded)

    page.locator("h1").first.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("L")
    page.wait_for_function("location.search.includes('node=crf')")
    assert page.locator(".areas").first.get_attribute("src").startswith("/overlay/crf/")
    page.keyboard.press("o")
    assert page.evaluate("getComputedStyle(document.querySelector('.outlines')).display") == "none"
    assert "outlines=0" in page.url
    page.reload()
    _settled(page)
    assert page.locator("#node").input_value() == "crf" and not page.locator("#outlines").is_checked()
    assert page.locator(".card").count() == 4

    page.keyboard.press("j")
    page.keyboard.press("j")
    wanted = page.locator(".card").nth(1).get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{wanted}")
    _settled(page)
    steps = page.locator(".step h2").all_inner_texts()
    assert steps == ["photograph", "detic", "grouping", "crf", "candidates", "labels"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator('[data-node="crf"]').click()
    page.locator("#canvas canvas").first.wait_for()
    _settled(page)
    page.locator('[data-zoom="in"]').click()
    page.locator('[data-zoom="close"]').click()
    page.keyboard.press("j")
    page.wait_for_function(f"location.pathname !== '{wanted}' && location.pathname.startsWith('/image/')")


def test_markup_that_is_typed_stays_text(page: Any, address: str) -> None:
    """A condition with markup is shown as it was typed, and the class that is markup as its name."""
    page.goto(address)
    page.locator("#where").fill(f"class_name = '{MARKUP}' AND key <> '<script>alert(1)</script>'")
    page.locator("#where").press("Enter")
    page.wait_for_url("**/?where=class*")
    _settled(page)
    assert page.locator(".card").count() == 6 and page.locator(".card b").first.inner_text() == MARKUP
    assert page.locator("#where").input_value().endswith("'<script>alert(1)</script>'")


def test_nothing_shifts_while_pictures_come(page: Any, address: str) -> None:
    """The places of all cards are the same before and after their pictures are loaded."""
    places = "[...document.querySelectorAll('.card, .step')].map((c) => [c.offsetLeft, c.offsetTop, c.offsetWidth])"
    for path in ("", "image/0"):
        for kind in ("picture", "overlay"):
            page.route(f"**/{kind}/**", lambda route: route.fulfill(status=200, body="", content_type="image/jpeg"))
        page.goto(address + path, wait_until="domcontentloaded")
        before = page.evaluate(places)
        page.unroute_all()
        page.goto(address + path)
        _settled(page)
        assert page.evaluate(places) == before and len(before) > 5


def test_the_page_scrolls_on_by_itself(page: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More images come when the end is near, each once and in order, in the layer that is shown."""
    monkeypatch.setattr("stages.show.web.gallery_rows.PAGE_SIZE", 4)
    page.set_viewport_size({"width": 390, "height": 500})
    page.goto(f"{address}?node=crf")
    for _ in range(6):
        page.mouse.wheel(0, 2000)
        _settled(page)
    page.locator(".end").wait_for()
    seen = page.eval_on_selector_all(".card", "(cards) => cards.map((card) => Number(card.dataset.image))")
    assert len(seen) == 12 and seen == sorted(set(seen))
    sources = page.eval_on_selector_all(".areas", "(images) => images.map((image) => image.getAttribute('src'))")
    assert all(source.startswith("/overlay/crf/") for source in sources)
