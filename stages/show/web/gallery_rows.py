"""The rows of a gallery: images that meet a condition, in an order, page by page.

A query fetches a *window* of many pages, which is kept, since to sort a million rows takes as long for twenty pages as
for one. A page names where its window begins, as the values of the row before it, and its place in the window: so a
page can be had again when the window is no longer kept, and no row is counted or skipped.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from typing import Any

from pdstore.confined import quoted
from pdstore.errors import PdError
from stages.show.web.cache import BoundedCache
from stages.show.web.gallery_state import SORTABLE, SUMMARY, Cursor, GalleryState
from stages.show.web.snapshots import Snapshot

__all__ = ["PAGE_SIZE", "Card", "GalleryPage", "read_page"]

PAGE_SIZE = 48
PAGES_PER_WINDOW = 20
AHEAD = 5
"""The next window is fetched behind the requests when so many pages of a window are left."""
KEPT_ROWS = 100_000
COLUMNS = ("image_id", "key", "class_name", "split", "height", "width")
_summary_lock = threading.Lock()

Row = dict[str, Any]


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


@dataclass(frozen=True)
class _Window:
    """The rows of some pages, and whether more follow."""

    rows: tuple[Row, ...]
    is_last: bool


_windows: BoundedCache[_Window] = BoundedCache(KEPT_ROWS, lambda window: len(window.rows) + 1)


def read_page(snapshot: Snapshot, state: GalleryState, after: Cursor | None = None) -> GalleryPage:
    """The images of a gallery that follow ``after``, at most :data:`PAGE_SIZE`.

    Cost: one query per window. A condition or an order by scores first counts the masks of the node once per snapshot.

    Raises:
        UsageError: the condition may not be used, is not valid or takes too long.
    """
    start = Cursor(None, None) if after is None else after
    window = _window(snapshot, state, start)
    begin, size = start.offset, PAGE_SIZE * PAGES_PER_WINDOW
    rows = window.rows[begin : begin + PAGE_SIZE]
    end = begin + len(rows)
    following = _next_window(state, window)
    if following is not None and end > size - AHEAD * PAGE_SIZE:
        threading.Thread(target=_fetch_behind, args=(snapshot, state, following), daemon=True).start()
    further = replace(start, offset=end) if end < len(window.rows) else following
    return GalleryPage(tuple(_card(row, state.sort) for row in rows), further)


def _window(snapshot: Snapshot, state: GalleryState, start: Cursor) -> _Window:
    """The window that begins behind a row. The condition is checked before anything else."""
    condition = state.condition()
    node = state.node if state.needs_summary else ""
    key = (snapshot.signature, node, condition, state.sort, state.order, start.begin, PAGE_SIZE * PAGES_PER_WINDOW)
    return _windows.get(key, lambda: _fetched(snapshot, state, condition, start))


def _fetched(snapshot: Snapshot, state: GalleryState, condition: str, start: Cursor) -> _Window:
    conditions: list[str] = []
    parameters: list[Any] = []
    if condition:
        conditions.append(f"(\n{condition}\n)")
    if start.image_id is not None:
        text, parameters = _following(state, start)
        conditions.append(text)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    columns = ", ".join(dict.fromkeys([*COLUMNS, state.sort]))
    order = f"{state.sort} {state.order} NULLS LAST" + (", image_id" if state.sort != "image_id" else "")
    size = PAGE_SIZE * PAGES_PER_WINDOW
    sql = f"SELECT {columns} FROM {_relation(snapshot, state)} AS images {where} ORDER BY {order} LIMIT {size + 1}"
    rows = snapshot.rows(sql, parameters)
    return _Window(tuple(rows[:size]), len(rows) <= size)


def _next_window(state: GalleryState, window: _Window) -> Cursor | None:
    if window.is_last or not window.rows:
        return None
    last = window.rows[-1]
    return Cursor(last[state.sort], last["image_id"])


def _fetch_behind(snapshot: Snapshot, state: GalleryState, start: Cursor) -> None:
    try:
        _window(snapshot, state, start)
    except PdError:
        return  # whoever asks for it gets the message


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
