"""What a gallery shows, as its address says it: a link shows the same images in the same order to everybody."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pdstore.errors import UsageError, nearest
from schemas.tables import IMAGES
from stages.show.overlays import drawable
from stages.show.web.condition import checked_condition, identifiers
from stages.show.web.snapshots import Snapshot

__all__ = ["SORTABLE", "SUMMARY", "Cursor", "GalleryState"]

SUMMARY: Mapping[str, str] = {"masks": "BIGINT", "best_score": "FLOAT", "mean_score": "DOUBLE", "worst_score": "FLOAT"}
"""What a condition may ask of the masks that the shown node has of an image, besides the columns of ``images``."""
_SQL = {"int64": "BIGINT", "int32": "INTEGER", "string": "VARCHAR"}
SORTABLE: Mapping[str, str] = {**{c.name: _SQL[c.dtype] for c in IMAGES.scalars}, **SUMMARY}
"""Column -> its SQL type."""
ORDERS = ("asc", "desc")


@dataclass(frozen=True)
class Cursor:
    """Where a page of a gallery begins.

    Attributes:
        value: of the sorting column, of the row before the window of the page.
        image_id: of that row; None if the window begins with the first row.
        offset: number of the page's first row within its window.
    """

    value: Any
    image_id: int | None
    offset: int = 0

    @property
    def begin(self) -> tuple[Any, int | None]:
        """Where the window begins. NaN is equal to itself here."""
        return repr(self.value), self.image_id

    def text(self) -> str:
        """As one word of an address."""
        return base64.urlsafe_b64encode(json.dumps([self.value, self.image_id, self.offset]).encode()).decode()

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises UsageError if it is no cursor."""
        try:
            value, image_id, offset = json.loads(base64.urlsafe_b64decode(text.encode()))
        except (binascii.Error, ValueError, TypeError, RecursionError):
            value, image_id, offset = None, None, -1
        is_value = isinstance(value, str | int | float | None)
        is_image = image_id is None or (isinstance(image_id, int) and abs(image_id) < 2**62)
        if not (is_value and is_image and isinstance(offset, int) and 0 <= offset < 2**31):
            raise UsageError("this is no place in a gallery", "after", "Begin with the first page")
        return cls(value, image_id, offset)


@dataclass(frozen=True)
class GalleryState:
    """What a gallery shows.

    Attributes:
        node: whose masks lie over the images; empty if no node writes masks.
        where: a condition in SQL; empty for all images.
        sort: a column.
        order: asc or desc.
        opacity: of the masks, in percent.
        is_outlined: whether outlines are drawn.
    """

    node: str = ""
    where: str = ""
    sort: str = "image_id"
    order: str = "asc"
    opacity: int = 50
    is_outlined: bool = True

    @classmethod
    def of(cls, query: Mapping[str, str], snapshot: Snapshot) -> GalleryState:
        """The state that an address names. Without a node it shows the last one that has masks.

        Raises:
            UsageError: a node, a column, an order or a number is unknown. The condition is not checked here.
        """
        nodes = drawable(snapshot.project)
        node = query.get("node") or default_node(snapshot, nodes)
        if node and node not in nodes:
            raise UsageError(f"expected a node that writes masks, found {node!r}", "node", nearest(node, nodes))
        sort, order = query.get("sort") or "image_id", query.get("order") or "asc"
        if sort not in SORTABLE:
            raise UsageError(f"expected a column to sort by, found {sort!r}", "sort", nearest(sort, SORTABLE))
        if order not in ORDERS:
            raise UsageError(f"expected asc or desc, found {order!r}", "order")
        opacity = query.get("opacity") or "50"
        if not (opacity.isascii() and opacity.isdecimal() and int(opacity[:4]) <= 100):
            raise UsageError(f"expected an opacity of 0 to 100, found {opacity!r}", "opacity")
        where = query.get("where", "").strip()
        return cls(node, where, sort, order, int(opacity), query.get("outlines", "1") != "0")

    def condition(self) -> str:
        """The condition, checked. Raises UsageError if it may not be used."""
        return checked_condition(self.where)

    @property
    def needs_summary(self) -> bool:
        """Whether the images and their order depend on the masks of the node."""
        return self.sort in SUMMARY or bool(identifiers(self.where) & SUMMARY.keys())

    def query(self, **changes: str | int) -> str:
        """The state as the query of an address, with some values replaced. What is as usual is left out."""
        values: dict[str, str | int] = {
            "node": self.node,
            "where": self.where,
            "sort": self.sort,
            "order": self.order,
            "opacity": self.opacity,
            "outlines": int(self.is_outlined),
        }
        usual = {"where": "", "sort": "image_id", "order": "asc", "opacity": 50, "outlines": 1}
        merged = {**values, **changes}
        return urlencode({name: value for name, value in merged.items() if value != usual.get(name) and value != ""})


def default_node(snapshot: Snapshot, nodes: list[str]) -> str:
    """The last node of the pipeline that has committed masks, or the last one; empty if there is none."""
    sql = "SELECT DISTINCT node FROM layers WHERE is_current AND units > 0"
    committed = {row["node"] for row in snapshot.rows(sql)}
    return next((node for node in reversed(nodes) if node in committed), nodes[-1] if nodes else "")
