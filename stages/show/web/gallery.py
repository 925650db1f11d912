"""The gallery: images that meet a condition, in an order, page by page, with the masks of one node."""

from __future__ import annotations

from starlette.responses import Response

from pdstore.confined import quoted
from pdstore.errors import UsageError
from stages.show.overlays import drawable
from stages.show.web.gallery_rows import GalleryPage, read_page
from stages.show.web.gallery_state import SORTABLE, Cursor, GalleryState
from stages.show.web.page import Visit
from stages.show.web.snapshots import Snapshot

__all__ = ["examples", "show_gallery", "show_more"]

SIDE = 320
"""Longer side of the pictures, in pixels."""
EAGER = 12
"""Pictures of the first page that are loaded at once; the others when they come near."""


def examples(snapshot: Snapshot) -> list[tuple[str, str]]:
    """(what it finds, condition) that fit the tables of the store."""
    project = snapshot.project
    found = [("wide images", "width > height"), ("nothing found", "masks = 0"), ("sure masks", "best_score > 0.9")]
    found += [("many masks", "masks >= 5"), ("left out with a reason", "image_id IN (SELECT image_id FROM errors)")]
    names = snapshot.rows("SELECT class_name FROM classes WHERE class_name <> '' LIMIT 1")
    if names:
        found.insert(0, ("one class", f"class_name = {quoted(names[0]['class_name'])}"))
    if any(node.stage.output.name == "labels" for node in project.nodes.values()):
        subquery = "SELECT image_id FROM labels WHERE cluster = 0 AND score > 0.8"
        found.append(("one cluster", f"image_id IN ({subquery})"))
    return found


def show_gallery(visit: Visit) -> Response:
    """``/``: the controls and the first images."""
    state = GalleryState.of(visit.query, visit.snapshot)
    page, problem = GalleryPage((), None), ""
    try:
        page = read_page(visit.snapshot, state)
    except UsageError as error:
        problem = str(error)
    return visit.html(
        "gallery.html",
        status=400 if problem and not visit.is_fragment else 200,
        state=state,
        page=page,
        problem=problem,
        nodes=drawable(visit.snapshot.project),
        columns=list(SORTABLE),
        examples=examples(visit.snapshot),
        side=SIDE,
        eager=EAGER,
    )


def show_more(visit: Visit) -> Response:
    """``/more``: the images that follow, as htmx puts them behind those that are there."""
    state = GalleryState.of(visit.query, visit.snapshot)
    page = read_page(visit.snapshot, state, Cursor.parse(visit.query.get("after", "")))
    return visit.html("cards.html", state=state, page=page, side=SIDE, eager=0)
