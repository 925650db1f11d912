from __future__ import annotations

import re
from html import unescape

import pytest
from starlette.testclient import TestClient

from stages.show.web import gallery
from stages.show.web.gallery import Card, examples, read_page
from stages.show.web.gallery_state import SORTABLE, GalleryState
from stages.show.web.snapshots import Snapshot
from tests.stages.show.web.conftest import MARKUP


def all_cards(snapshot: Snapshot, state: GalleryState) -> list[Card]:
    """The cards of every page."""
    page = read_page(snapshot, state)
    cards = [*page.cards]
    while page.after is not None:
        page = read_page(snapshot, state, page.after)
        cards += page.cards
    return cards


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", list(SORTABLE))
def test_pages_together_are_one_query(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, sort: str, order: str
) -> None:
    """By any column, every image comes once and in order, also those with equal values and without a value."""
    monkeypatch.setattr(gallery, "PAGE_SIZE", 5)
    found = [card.image_id for card in all_cards(snapshot, GalleryState("labels", sort=sort, order=order))]
    summary = """SELECT image_id, count(*) AS masks, max(score) AS best_score, avg(score) AS mean_score,
        min(score) AS worst_score FROM labels GROUP BY 1"""
    sql = f"""SELECT image_id FROM (SELECT images.*, coalesce(s.masks, 0) AS masks, best_score, mean_score, worst_score
        FROM images LEFT JOIN ({summary}) AS s USING (image_id)) ORDER BY {sort} {order} NULLS LAST, image_id"""
    assert found == [row["image_id"] for row in snapshot.rows(sql)] and len(found) == 12


def test_a_condition_chooses_images(snapshot: Snapshot) -> None:
    """It may name columns of images and what was counted of the masks, and read other tables."""
    for where, sql in (
        ("width > height", "SELECT image_id FROM images WHERE width > height"),
        ("masks >= 2 -- many", "SELECT image_id FROM labels GROUP BY 1 HAVING count(*) >= 2"),
        (
            "image_id IN (SELECT image_id FROM labels WHERE cluster = 0)",
            "SELECT image_id FROM labels WHERE cluster = 0",
        ),
        ("false", "SELECT image_id FROM images WHERE false"),
    ):
        cards = all_cards(snapshot, GalleryState("labels", where=where))
        assert {card.image_id for card in cards} == {row["image_id"] for row in snapshot.rows(sql)}


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
    assert client.get("/more", params={"where": where, "after": "W251bGwsIDBd"}).status_code == 400


def test_the_page_scrolls_on(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last card is followed by the address of the next ones; the last page has none."""
    monkeypatch.setattr(gallery, "PAGE_SIZE", 5)
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
