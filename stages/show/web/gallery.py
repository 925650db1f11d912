"""The gallery: images that meet a condition, in an order, page by page, with the masks of one node."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from pdstore.errors import UsageError
from pdstore.sql.quoting import quoted
from stages.show.overlays import drawable
from stages.show.web.gallery_state import SORTABLE, SUMMARY, Cursor, GalleryState
from stages.show.web.page import Visit
from stages.show.web.snapshots import Snapshot

__all__ = ["Card", "GalleryPage", "examples", "read_page", "show_gallery", "show_more"]

PAGE_SIZE = 48
SIDE = 320
"""Longer side of the pictures, in pixels."""
EAGER = 12
"""Pictures of the first page that are loaded at once; the others when they come near."""
COLUMNS = ("image_id", "key", "class_name", "split", "height", "width")
_summary_lock = threading.Lock()


@dataclass(frozen=True)
class Card:
    """One image of a gallery.

    Attributes:
        value: of the column that the gallery is sorted by, as text; empty if that is the image's number.
    """

    image_id: int
    key: str
    class_name: str
    split: str
    height: int
    width: int
    value: str = ""

    @property
    def name(self) -> str:
        """What the image shows, or its key."""
        return self.class_name or self.key


@dataclass(frozen=True)
class GalleryPage:
    """Some images of a gallery, and where the next ones begin; None after the last one."""

    cards: tuple[Card, ...]
    after: Cursor | None


def read_page(snapshot: Snapshot, state: GalleryState, after: Cursor | None = None) -> GalleryPage:
    """The images of a gallery that follow ``after``, at most :data:`PAGE_SIZE`.

    Cost: one query that stops at as many rows. A condition or an order by scores first counts the masks of the node
    once per snapshot.

    Raises:
        UsageError: the condition may not be used, is not valid or takes too long.
    """
    conditions: list[str] = []
    parameters: list[Any] = []
    if condition := state.condition():
        conditions.append(f"(\n{condition}\n)")
    if after is not None:
        text, parameters = _following(state, after)
        conditions.append(text)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    columns = ", ".join(dict.fromkeys([*COLUMNS, state.sort]))
    order = "image_id" if state.sort == "image_id" else f"{state.sort} {state.order} NULLS LAST, image_id"
    direction = state.order if state.sort == "image_id" else "asc"
    sql = f"SELECT {columns} FROM {_relation(snapshot, state)} AS images {where} ORDER BY {order} {direction}"
    rows = snapshot.rows(f"{sql} LIMIT {PAGE_SIZE + 1}", parameters)
    shown = rows[:PAGE_SIZE]
    last = Cursor(shown[-1][state.sort], shown[-1]["image_id"]) if len(rows) > PAGE_SIZE else None
    return GalleryPage(tuple(_card(row, state.sort) for row in shown), last)


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


def _following(state: GalleryState, after: Cursor) -> tuple[str, list[Any]]:
    """The condition that a row comes after the cursor, and the values of its question marks."""
    sign = ">" if state.order == "asc" else "<"
    if state.sort == "image_id":
        return f"image_id {sign} ?", [after.image_id]
    if after.value is None:
        return f"({state.sort} IS NULL AND image_id > ?)", [after.image_id]
    value = f"CAST(? AS {SORTABLE[state.sort]})"
    text = f"({state.sort} {sign} {value} OR {state.sort} IS NULL OR ({state.sort} = {value} AND image_id > ?))"
    return text, [after.value, after.value, after.image_id]


def _relation(snapshot: Snapshot, state: GalleryState) -> str:
    if not state.needs_summary:
        return "images"
    if not state.node:
        return f"(SELECT *, {', '.join(f'NULL::{kind} AS {name}' for name, kind in SUMMARY.items())} FROM images)"
    summary = _summary(snapshot, state.node)
    columns = "coalesce(summary.masks, 0) AS masks, best_score, mean_score, worst_score"
    return f"(SELECT found.*, {columns} FROM images AS found LEFT JOIN {summary} AS summary USING (image_id))"


def _summary(snapshot: Snapshot, node: str) -> str:
    """The name of a table with one row per image: the masks that the node has of it. Made once per snapshot."""
    name = f"memory.main.summary_{hashlib.sha256(node.encode()).hexdigest()[:16]}"
    table = snapshot.project[node].stage.output.name
    counted = "count(*) AS masks, max(score) AS best_score, avg(score) AS mean_score, min(score) AS worst_score"
    with _summary_lock:
        snapshot.rows(
            f"CREATE TABLE IF NOT EXISTS {name} AS SELECT image_id, {counted} FROM {table} WHERE node = {quoted(node)} "
            "GROUP BY image_id"
        )
    return name


def _card(row: dict[str, Any], sort: str) -> Card:
    return Card(**{name: row[name] for name in COLUMNS}, value="" if sort in COLUMNS else _text(row[sort]))


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
