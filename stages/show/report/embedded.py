"""Pictures inside the page, as data URIs, so that the page is a single file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

__all__ = ["Picture", "embedded"]

WEBP_QUALITY = 80
"""At this quality a picture of 512 pixels has 15 to 40 kB, and outlines of masks are still sharp."""


@dataclass(frozen=True)
class Picture:
    """A picture with its size in pixels, so that the page has its place before it is decoded."""

    uri: str
    width: int
    height: int


def embedded(picture: Image.Image) -> Picture:
    """The picture as WebP; transparent pixels stay transparent. Equal pictures give equal bytes."""
    sink = io.BytesIO()
    picture.save(sink, "WEBP", quality=WEBP_QUALITY, method=4)
    uri = f"data:image/webp;base64,{base64.b64encode(sink.getvalue()).decode()}"
    return Picture(uri, picture.width, picture.height)
