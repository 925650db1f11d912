"""The life of an image: what every stage made of it, side by side."""

from __future__ import annotations

from starlette.responses import Response

from stages.show.overlays import drawable
from stages.show.web.page import Visit

__all__ = ["show_life"]


def show_life(visit: Visit) -> Response:
    """``/image/IMAGE_ID``."""
    image = visit.viewer.drawings.image_row(visit.snapshot, visit.image_id)
    key, name = str(image["key"][0]), str(image["class_name"][0])
    return visit.html(
        "life.html", image_id=visit.image_id, key=key, class_name=name, nodes=drawable(visit.snapshot.project), side=640
    )
