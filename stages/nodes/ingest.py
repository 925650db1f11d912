"""Ingest: the listed image files of a block -> rows of ``images``, or rows of ``errors`` for unusable files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from pdstore import Rows
from schemas.stages import IngestSettings
from schemas.tables import IMAGES
from stages.block import read_image
from stages.source.frames import FRAME_SIDE, frame_of
from stages.source.images import ImageFault, decode, decode_ahead
from stages.source.listing import ImageClass, Listed
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

_NO_CLASS = ImageClass(-1, "", "")
"""The class of an image for which the data set names none, because it shows several objects."""


def start(settings: IngestSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Every image is decoded completely once, so that a truncated file is detected here and not in a later stage."""
    classes = {c.wnid: c for c in setup.classes} | {"": _NO_CLASS}

    def run(unit: Unit) -> Output:
        def load(listed: Listed) -> dict[str, Any]:
            return _row(listed, read_image(unit.images, listed.key), classes, settings)

        rows = []
        for listed, row in decode_ahead(unit.listed, load):
            unit.check_stop()
            if isinstance(row, ImageFault):
                unit.reject(listed.image_id, row.reason, row.detail, listed.key)
            else:
                rows.append(row)
            unit.advance(1)
        return Output(Rows.from_records(IMAGES, rows))

    return run


def _row(listed: Listed, data: bytes, classes: dict[str, ImageClass], settings: IngestSettings) -> dict[str, Any]:
    # Completely, but not at full size: a JPEG file of many megapixels never is in memory as a whole.
    picture = decode(data, settings.max_pixels, partial(frame_of, longest=FRAME_SIDE), settings.max_decoded_mb)
    image_class = classes[listed.wnid]
    return {
        "image_id": listed.image_id,
        "key": listed.key,
        "split": listed.split,
        "wnid": listed.wnid,
        "class_id": image_class.class_id,
        "class_name": image_class.name,
        "height": picture.size[0],
        "width": picture.size[1],
        "bytes": len(data),
        "mode": picture.mode,
        "orientation": picture.orientation,
        "sha256": hashlib.sha256(data).hexdigest(),
        "encoded": data if settings.copy_files else b"",
    }
