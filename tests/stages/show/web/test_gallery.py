from __future__ import annotations

import re
from html import unescape

import pytest
from starlette.testclient import TestClient

from stages.show.web import gallery_rows
from stages.show.web.gallery import examples
from stages.show.web.gallery_rows import read_page
from stages.show.web.gallery_state import GalleryState
from stages.show.web.snapshots import Snapshot
from tests.stages.show.web.conftest import MARKUP


def test_examples_are_valid(snapshot: Snapshot) -> None:
    """Each finds its images, or none, also where a class has a name with a quote or markup."""
    found = examples(snapshot)
    assert len(found) == 7
    for _, condition in found:
        read_page(snapshot, GalleryState("labels", where=condition))


@pytest.mark.parametrize(
    "where",
    [
        "true; DROP TABLE images",
        "EXISTS (COPY images TO 'here')",
        "EXISTS (SELECT * FROM read_text('/etc/hostname'))",
        "EXISTS (SELECT * FROM read_parquet('/tmp/*.parquet'))",
        "EXISTS (SELECT * FROM glob('/*'))",
        "nothing = 1",
    ],
)
def test_sql_that_does_more_than_choose_is_refused(client: TestClient, where: str) -> None:
    """The page says what is wrong, with the text that was typed still there, and no image."""
    answer = client.get("/", params={"where": where})
    assert answer.status_code == 400 and 'role="alert"' in answer.text and "/picture/" not in answer.text
    assert where in unescape(answer.text)
    assert client.get("/more", params={"where": where, "after": "W251bGwsIG51bGwsIDBd"}).status_code == 400


def test_the_page_scrolls_on(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last card is followed by the address of the next ones; the last page has none."""
    monkeypatch.setattr(gallery_rows, "PAGE_SIZE", 5)
    text, seen = client.get("/").text, []
    for _ in range(3):
        seen += [int(number) for number in re.findall(r'data-image="(\d+)"', text)]
        link = re.search(r'hx-get="([^"]+)"', text)
        text = client.get(unescape(link[1])).text if link else text
    assert seen == sorted(set(seen)) and len(seen) == 12 and link is None and "These are all images" in text


def test_markup_in_names_is_shown_as_text(client: TestClient) -> None:
    """A class, a key and a condition that are markup never become markup."""
    text = client.get("/", params={"where": f"class_name = '{MARKUP}' AND key <> '<script>'"}).text
    assert "<img src=x" not in text and "<script>" not in text and "&lt;img src=x onerror=alert(1)&gt;" in text


def test_a_gallery_without_images_says_so(client: TestClient) -> None:
    """No image meets the condition, or none was ingested."""
    assert "No image meets this condition" in client.get("/", params={"where": "false"}).text
