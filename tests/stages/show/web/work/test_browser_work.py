"""Work in a real browser: name a cluster, tag and reject segments by keys, choose on the map, and see it in SQL."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdstore import Store
from schemas.catalog import catalog_of

ROOT = Path(__file__).parents[5]
CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]


@pytest.fixture
def address(ranked: Store) -> Iterator[str]:
    """The address of ``pd view`` over the store, in a process of its own."""
    command = [sys.executable, "-P", "-m", "cli", "--store", ranked.url, "view", "--port", "0", "--no-open"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PD_WHO": "ann"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    """A page of a browser; what it complains about fails the test."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    complaints: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        made = browser.new_page(base_url=address, viewport={"width": 1440, "height": 900})
        made.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        made.on("pageerror", lambda error: complaints.append(str(error)))
        yield made
        browser.close()
    assert complaints == []


def asked(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in catalog_of(store).query(sql).to_pylist()]


def test_a_day_of_work(page: Any, ranked: Store) -> None:
    """A name that was typed is on the page, after a reload, and in SQL; keys tag, reject and take back."""
    page.goto("/classes")
    page.get_by_role("link", name=re.compile("cats")).click()
    column = page.locator(".column").first
    cluster = int(re.findall(r"\d+", column.locator("h2").inner_text())[0])
    column.locator("summary").click()
    column.get_by_label("Name", exact=True).fill("left <i>ear</i>")
    column.get_by_role("button", name="Name", exact=True).click()
    page.locator("h2", has_text="left <i>ear</i>").first.wait_for()
    page.reload()
    assert "left <i>ear</i>" in page.locator(".column h2").first.inner_text()
    sql = f"SELECT name FROM cluster_names WHERE node = 'labels' AND cluster = {cluster}"
    assert asked(ranked, sql) == [("left <i>ear</i>",)]
    page.once("dialog", lambda dialog: dialog.accept("odd"))
    page.keyboard.press("j")
    page.keyboard.press("t")
    page.locator(".crop .tags", has_text="odd").wait_for()
    page.keyboard.press("x")
    page.locator(".crop.rejected").wait_for()
    counts = "SELECT (SELECT count(*) FROM labels) - (SELECT count(*) FROM labels_kept)"
    assert asked(ranked, counts) == [(1,)]
    page.keyboard.press("u")
    page.locator(".crop.rejected").wait_for(state="detached")
    assert asked(ranked, counts) == [(0,)]
    assert asked(ranked, "SELECT tag, who FROM tags") == [("odd", "ann")]


def test_a_lasso_on_the_map(page: Any, ranked: Store) -> None:
    """A line around all points chooses them all; the SQL that is shown finds their rows."""
    page.goto("/map?node=candidates&class=0")
    page.locator("#map-state", has_text="segments").wait_for()
    box = page.locator("#points").bounding_box()
    corners = [(2, 2), (box["width"] - 3, 2), (box["width"] - 3, box["height"] - 3), (2, box["height"] - 3)]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for x, y in [*corners, (2, 10)]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    page.mouse.up()
    where = page.locator("#sql").input_value()
    rows = asked(ranked, "SELECT image_id FROM candidates WHERE category_id = 0")
    assert len(asked(ranked, f"SELECT * FROM candidates WHERE {where}")) == len(rows) > 0
    page.once("dialog", lambda dialog: dialog.accept("seen"))
    page.get_by_role("button", name="Tag their images").click()
    page.locator("#map-state", has_text="Written").wait_for()
    assert {row[0] for row in asked(ranked, "SELECT image_id FROM tags WHERE tag = 'seen'")} == {r[0] for r in rows}
