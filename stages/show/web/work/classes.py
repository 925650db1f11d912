"""The pages of classes and clusters: a list, and the clusters of a class as columns of crops."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from pdstore.errors import InputMissing
from stages.show.web.page import Visit
from stages.show.web.work.class_sheet import ORDERS, cluster_nodes, read_class, read_classes
from stages.show.web.work.crops import crop, crop_etag

__all__ = ["number_of", "show_class", "show_classes", "show_crop"]

COUNTS = (4, 8, 16, 32)
"""Segments of a cluster that the page may show."""


def show_classes(visit: Visit) -> Response:
    """``/classes?node=labels&text=ca``: the classes with clusters."""
    nodes, text = cluster_nodes(visit.snapshot), visit.query.get("text", "")[:100]
    # The last labels are what the pipeline leads to, before a model learns them.
    filled = [name for name in nodes if visit.snapshot.layer(name).units()]
    labels = [name for name in filled if visit.snapshot.project[name].stage.output.name == "labels"]
    node = visit.query.get("node", "") or next(iter([*labels[::-1], *filled]), "")
    rows = read_classes(visit.snapshot, node, text) if node else []
    return visit.html("classes.html", nodes=nodes, node=node, text=text, rows=rows)


def show_class(visit: Visit) -> Response:
    """``/class/labels/3?count=8&order=best``: one column per cluster."""
    node, count = str(visit.path["node"]), number_of(visit.query.get("count", "8"))
    order = visit.query.get("order", "best")
    sheet = read_class(visit.snapshot, node, number_of(str(visit.path["category_id"]), is_signed=True), count, order)
    return visit.html(
        "class.html",
        sheet=sheet,
        nodes=cluster_nodes(visit.snapshot),
        counts=COUNTS,
        orders=list(ORDERS),
        back=f"/class/{node}/{sheet.category_id}?{urlencode({'count': count, 'order': order})}",
        count=count,
        order=order,
    )


def show_crop(visit: Visit) -> Response:
    """``/crop/labels/12?object=0&row=3&side=120``."""
    drawings, node, query = visit.viewer.drawings, str(visit.path["node"]), visit.query
    key = visit.image_id, number_of(query.get("object", "0")), number_of(query.get("row", "0"))
    side = number_of(query.get("side", "120"))
    etag = f'"{crop_etag(drawings, visit.snapshot, node, key, side)}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if visit.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    drawn = crop(drawings, visit.snapshot, node, key, side)
    return Response(drawn.data, media_type=drawn.media_type, headers=headers)


def number_of(text: str, *, is_signed: bool = False) -> int:
    """A number of an address. Raises InputMissing if it is none."""
    digits = text.removeprefix("-") if is_signed else text
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 10):
        raise InputMissing("there is no such page", f"number {text[:40]!r}")
    return int(text)
