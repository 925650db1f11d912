from __future__ import annotations

import pytest

from pdstore.errors import InputMissing
from stages.show.web.drawing import Drawings
from stages.show.web.page import Viewer, Visit
from stages.show.web.snapshots import Snapshot, Snapshots
from stages.show.web.templates import Templates
from tests.stages.show.web.conftest import MARKUP


def _visit(snapshots: Snapshots, **values: object) -> Visit:
    return Visit(Viewer(snapshots, Drawings(), Templates()), snapshots.newest(), **values)


def test_a_page_shows_what_it_is_given(snapshots: Snapshots) -> None:
    """A template gets the values, the visit and the snapshot; text is escaped, and the status is the page's."""
    answer = _visit(snapshots).html("error.html", 404, message=MARKUP, code=404)
    body = bytes(answer.body).decode()
    assert answer.status_code == 404 and "&lt;img src=x" in body and "<img src=x" not in body
    assert snapshots.newest().project.store.url in body


@pytest.mark.parametrize("text", ["-1", "x", "1" * 13, "1.5", "²", ""])
def test_a_number_that_no_image_has_is_missing(snapshots: Snapshots, text: str) -> None:
    """Only digits name an image, and not too many of them."""
    with pytest.raises(InputMissing, match="there is no such image"):
        _ = _visit(snapshots, path={"image_id": text}).image_id
    assert _visit(snapshots, path={"image_id": "12"}).image_id == 12


def test_htmx_is_told_from_a_person(snapshots: Snapshots, snapshot: Snapshot) -> None:
    """A request of htmx gets a part of a page."""
    assert _visit(snapshots, headers={"hx-request": "true"}).is_fragment
    assert not _visit(snapshots).is_fragment
