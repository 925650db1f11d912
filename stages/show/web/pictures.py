"""The addresses of pictures: photographs, and the masks of a layer to lie over them."""

from __future__ import annotations

from starlette.responses import Response

from stages.show.web.drawing import Drawing
from stages.show.web.page import Visit

__all__ = ["show_overlay", "show_photograph"]


def show_photograph(visit: Visit) -> Response:
    """``/picture/IMAGE_ID?side=320``."""
    drawings, image_id = visit.viewer.drawings, visit.image_id
    return _response(visit, drawings.photograph(visit.snapshot, image_id, _side(visit)))


def show_overlay(visit: Visit) -> Response:
    """``/overlay/NODE/IMAGE_ID?side=320&style=areas``, or ``style=outlines``; ``layer=`` names an older layer."""
    drawings, image_id = visit.viewer.drawings, visit.image_id
    style, layer = visit.query.get("style", "areas"), visit.query.get("layer", "")
    node = str(visit.path["node"])
    return _response(visit, drawings.overlay(visit.snapshot, node, image_id, _side(visit), style, layer))


def _response(visit: Visit, drawing: Drawing) -> Response:
    etag = f'"{drawing.etag}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if visit.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(drawing.data, media_type=drawing.media_type, headers=headers)


def _side(visit: Visit) -> int:
    text = visit.query.get("side", "320")
    return int(text) if text.isdecimal() and len(text) < 6 else 0
