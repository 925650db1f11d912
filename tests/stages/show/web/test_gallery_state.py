from __future__ import annotations

import math

import pytest

from pdstore.errors import UsageError
from stages.show.web.gallery_state import Cursor, GalleryState
from stages.show.web.snapshots import Snapshot


@pytest.mark.parametrize("value", [None, 3, 0.1 + 0.2, "a key\n", "é", -math.inf])
def test_a_cursor_comes_back_as_it_was(value: object) -> None:
    """It is one word of an address."""
    text = Cursor(value, 7, 48).text()
    assert Cursor.parse(text) == Cursor(value, 7, 48) and not set(text) & set("&?# +/")


@pytest.mark.parametrize(
    "text",
    ["", "x", "WzFd", "eyJhIjoxfQ==", "W1sxXSwgMSwgMF0=", "WzEsICJhIiwgMF0=", "WzEsIDEsIC0xXQ==", "é", "W" * 9000],
)
def test_what_is_no_cursor_is_an_error(text: str) -> None:
    """Text that is not base64, no JSON, or not a value and a number."""
    with pytest.raises(UsageError, match="no place in a gallery"):
        Cursor.parse(text)


def test_an_address_leads_to_the_same_state(snapshot: Snapshot) -> None:
    """Everything that was chosen is in the query, and what is as usual is not."""
    usual = GalleryState.of({}, snapshot)
    assert usual == GalleryState("labels") and usual.query() == "node=labels"
    query = {"node": "crf", "where": "width > 1 AND key <> '&'", "sort": "masks", "order": "desc", "opacity": "0"}
    state = GalleryState.of({**query, "outlines": "0"}, snapshot)
    assert state.query() == (
        "node=crf&where=width+%3E+1+AND+key+%3C%3E+%27%26%27&sort=masks&order=desc&opacity=0&outlines=0"
    )
    assert state.query(where="", node="") == "sort=masks&order=desc&opacity=0&outlines=0"


@pytest.mark.parametrize(
    ("name", "value"),
    [("node", "ingest"), ("sort", "image_id; DROP"), ("order", "up"), ("opacity", "101"), ("opacity", "-1")],
)
def test_an_unknown_choice_is_an_error(snapshot: Snapshot, name: str, value: str) -> None:
    """Columns and nodes are taken from lists, never from the address."""
    with pytest.raises(UsageError, match="expected"):
        GalleryState.of({name: value}, snapshot)


def test_masks_are_counted_only_if_they_are_asked_for() -> None:
    """A condition or an order names the counted columns, or nothing is counted."""
    assert GalleryState("crf", sort="masks").needs_summary
    assert GalleryState("crf", where="Best_Score > 0.5").needs_summary
    assert not GalleryState("crf", where="key = 'masks'").needs_summary
    with pytest.raises(UsageError):
        GalleryState("crf", where="true; DROP TABLE images").condition()
