from __future__ import annotations

import pytest

from pdstore.errors import UsageError
from stages.show.web import gallery_rows
from stages.show.web.gallery_rows import Card, read_page
from stages.show.web.gallery_state import SORTABLE, Cursor, GalleryState
from stages.show.web.snapshots import Snapshot


def all_cards(snapshot: Snapshot, state: GalleryState) -> list[Card]:
    """The cards of every page."""
    page = read_page(snapshot, state)
    cards = [*page.cards]
    while page.after is not None:
        page = read_page(snapshot, state, page.after)
        cards += page.cards
    return cards


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", list(SORTABLE))
def test_pages_together_are_one_query(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, sort: str, order: str, pages: int
) -> None:
    """By any column, every image comes once and in order, also those with equal values and without a value."""
    monkeypatch.setattr(gallery_rows, "PAGE_SIZE", 2)
    monkeypatch.setattr(gallery_rows, "PAGES_PER_WINDOW", pages)
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


def test_a_page_can_be_had_again(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is the same when its window is no longer kept, and windows that are kept are not asked for again."""
    monkeypatch.setattr(gallery_rows, "PAGE_SIZE", 2)
    monkeypatch.setattr(gallery_rows, "PAGES_PER_WINDOW", 3)
    monkeypatch.setattr(gallery_rows, "AHEAD", 0)
    state = GalleryState("labels", sort="key")
    first = read_page(snapshot, state)
    assert first.after == Cursor(None, None, 2)
    second = read_page(snapshot, state, first.after)
    monkeypatch.setattr(gallery_rows, "_windows", gallery_rows.BoundedCache(10, lambda _: 1))
    assert read_page(snapshot, state, first.after) == second
    asked: list[str] = []
    monkeypatch.setattr(gallery_rows, "_fetched", lambda *_: asked.append("again"))
    assert read_page(snapshot, state, first.after) == second and asked == []


def test_a_place_behind_the_end_is_empty(snapshot: Snapshot) -> None:
    """A cursor that nobody gave leads to no images."""
    page = read_page(snapshot, GalleryState("labels"), Cursor(None, None, 2**30))
    assert page.cards == () and page.after is None
    with pytest.raises(UsageError):
        read_page(snapshot, GalleryState("labels", sort="width"), Cursor("wide", 3))
