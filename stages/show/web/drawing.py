"""The pictures of a page: photographs, and the masks of a layer as transparent pictures to lie over them.

Photograph, areas and outlines of one image have the same shape, so a browser lays them over each other and changes
layer, opacity and outlines without new photographs. A picture is made when it is asked for, from the rows of its image
alone, and kept in memory up to a limit; its ETag names the layer's fingerprint and the attempt that was committed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from pdstore import Layer, Rows, masks
from pdstore.errors import InputMissing, UsageError
from pdstore.fingerprint import digest
from stages.block import check_unchanged, decoded_mb
from stages.kernels.transparent import owners, paint_areas, paint_outlines
from stages.mask_names import mask_colours, without_vectors
from stages.show.overlays import MAX_MASKS, drawable
from stages.show.web.cache import BoundedCache
from stages.show.web.snapshots import Snapshot
from stages.source.frames import Size, frame_of, mask_frames
from stages.source.images import ImageFault, decode
from stages.source.tars import open_images

__all__ = ["SIDES", "STYLES", "Drawing", "Drawings", "fitted_size", "images_node"]

SIDES = (160, 320, 640, 1280, 2048)
"""Lengths of the longer side in which pictures are made, in pixels."""
STYLES = ("areas", "outlines")
KEPT_BYTES = 48_000_000
KEPT_UNITS = 24
"""Units whose scalars stay in memory, since the images of a page often lie in few blocks."""
SMOOTHING = 2
"""Masks are drawn this much larger and then reduced, for smooth borders."""
OUTLINE_PX = 3
"""Width of an outline before it is reduced."""
_PHOTO = ("image_id", "key", "split", "class_name", "height", "width", "sha256")


@dataclass(frozen=True)
class Drawing:
    """A picture as bytes.

    Attributes:
        etag: changes whenever the bytes may have changed.
    """

    data: bytes
    media_type: str
    etag: str


class Drawings:
    """Makes the pictures of a store. Threads may share it."""

    def __init__(self) -> None:
        self._drawn: BoundedCache[Drawing] = BoundedCache(KEPT_BYTES, lambda drawing: len(drawing.data))
        self._layers: BoundedCache[Layer] = BoundedCache(KEPT_UNITS, lambda _: 1)

    def etag(self, snapshot: Snapshot, node: str, image_id: int, *choices: object, layer: str = "") -> str:
        """What the picture would have as its ETag, without drawing it. Raises UsageError and InputMissing."""
        found, attempt = self._unit(snapshot, node, image_id, layer)
        return digest([found.fingerprint, attempt, image_id, list(map(str, choices))])[:32]

    def photograph(self, snapshot: Snapshot, image_id: int, side: int) -> Drawing:
        """The image with a longer side of at most ``side`` pixels, as JPEG.

        Raises:
            UsageError: the size is not one of :data:`SIDES`.
            InputMissing: the image was not ingested, or its file is gone or another.
        """
        node = images_node(snapshot)
        etag = self.etag(snapshot, node, image_id, _checked(side))
        return self._drawn.get(etag, lambda: _drawing(self._photograph(snapshot, node, image_id, side), etag))

    def overlay(self, snapshot: Snapshot, node: str, image_id: int, side: int, style: str, layer: str = "") -> Drawing:
        """The masks that a node has of an image, as WebP with transparency; best scores are on top.

        Args:
            layer: fingerprint of a layer of the node, by default the one that the views show.

        Raises:
            UsageError: the node writes no masks or has no such layer, or the size or style is unknown.
            InputMissing: the image was not ingested, or its block is not committed.
        """
        if node not in drawable(snapshot.project) and not _is_candidates(snapshot, node):
            raise UsageError("the node writes no masks", node, "See the nodes with: pd stage list")
        if style not in STYLES:
            raise UsageError(f"expected areas or outlines, found {style!r}", "style")
        etag = self.etag(snapshot, node, image_id, _checked(side), style, layer=layer)
        make = partial(self._overlay, snapshot, node, image_id, side, style, layer)
        return self._drawn.get(etag, lambda: _drawing(make(), etag))

    def rows(self, snapshot: Snapshot, node: str, image_id: int, layer: str = "") -> Rows:
        """The rows that a node has of an image, with their masks and without vectors, best score first.

        Raises:
            UsageError: there is no such node, or it has no such layer.
            InputMissing: the block of the image is not committed.
        """
        found, _ = self._unit(snapshot, node, image_id, layer)
        names = without_vectors(found.table)
        rows = found.read_images(_block(snapshot, image_id), [image_id], names)
        return rows.take(np.argsort(-rows["score"], kind="stable")) if "score" in rows.columns else rows

    def errors(self, snapshot: Snapshot, node: str, image_id: int) -> list[dict[str, Any]]:
        """The rows of ``errors`` that a node wrote about an image; none if its block is not committed."""
        try:
            layer, _ = self._unit(snapshot, node, image_id, "")
        except InputMissing:
            return []
        rows = layer.errors(_block(snapshot, image_id))
        return [row for row in rows.to_pylist() if row["image_id"] == image_id] if rows is not None else []

    def image_row(self, snapshot: Snapshot, image_id: int) -> Rows:
        """The one row of an image, without its file. Raises InputMissing if it was not ingested."""
        layer, _ = self._unit(snapshot, images_node(snapshot), image_id, "")
        rows = layer.read_images(_block(snapshot, image_id), [image_id], _PHOTO)
        if not len(rows):
            raise InputMissing("this image was not ingested", f"image {image_id}")
        return rows

    def _segments(self, snapshot: Snapshot, node: str, image_id: int, layer: str) -> Rows:
        """The masks of candidates, which are those of the segments that were chosen."""
        kept = self.rows(snapshot, node, image_id, layer)
        source = snapshot.project[node].inputs["segments"][0]
        rows = self.rows(snapshot, source, image_id)
        if "part_id" not in rows.columns:
            return rows.take(np.isin(rows["proposal_id"], kept["segment_id"]))
        pairs = set(zip(kept["object_id"].tolist(), kept["segment_id"].tolist(), strict=True))
        own = zip(rows["object_id"].tolist(), rows["part_id"].tolist(), strict=True)
        return rows.take(np.array([pair in pairs for pair in own], bool))

    def _unit(self, snapshot: Snapshot, node: str, image_id: int, fingerprint: str) -> tuple[Layer, str]:
        """The layer, as one object per unit so that its memory is bounded, and the attempt that is committed."""
        layer, block = snapshot.layer(node, fingerprint), _block(snapshot, image_id)
        layer = self._layers.get((layer.node, layer.fingerprint, block), lambda: layer)
        manifest = layer.newest_manifest(block)
        if manifest is None:
            raise InputMissing("the block of this image is not committed", f"{node}, image {image_id}")
        return layer, manifest.attempt

    def _photograph(self, snapshot: Snapshot, node: str, image_id: int, side: int) -> Image.Image:
        row = self.image_row(snapshot, image_id)
        layer, _ = self._unit(snapshot, node, image_id, "")
        packed = layer.read_images(_block(snapshot, image_id), [image_id], ["encoded"]).ragged("encoded")[0]
        key = str(row["key"][0])
        try:
            data = packed or open_images(snapshot.project.store, snapshot.project.source.root).read(key)
            if not packed:
                check_unchanged(data, str(row["sha256"][0]))
            frame = partial(frame_of, longest=side)
            return Image.fromarray(decode(data, frame=frame, max_mb=decoded_mb(layer)).pixels)
        except (ImageFault, OSError) as error:
            raise InputMissing(f"the file of the image cannot be read: {error!s}", key) from None

    def _overlay(self, snapshot: Snapshot, node: str, image_id: int, side: int, style: str, layer: str) -> Image.Image:
        image = self.image_row(snapshot, image_id)
        size = int(image["height"][0]), int(image["width"][0])
        # No larger than twice the image, which is as sharp as its masks are.
        height, width = fitted_size(size, min(side, max(SIDES[2], 2 * max(size))))
        scale = SMOOTHING if side < SIDES[3] else 1
        read = self._segments if _is_candidates(snapshot, node) else self.rows
        rows = read(snapshot, node, image_id, layer)
        rows = rows.take(np.arange(min(len(rows), MAX_MASKS)))
        tall, wide = scale * height, scale * width
        frames, strings = mask_frames(rows), rows.ragged("rle")
        found = (masks.decode_to(strings.take([i]), frames[i : i + 1], tall, wide)[0] for i in range(len(rows)))
        owner = owners(found, tall, wide)
        colours = mask_colours(rows)
        paint: Callable[..., np.ndarray] = (
            paint_areas if style == "areas" else partial(paint_outlines, width_px=OUTLINE_PX)
        )
        return Image.fromarray(paint(owner, colours), "RGBA").resize((width, height), Image.Resampling.BOX)


def _is_candidates(snapshot: Snapshot, node: str) -> bool:
    return snapshot.project[node].stage.output.name == "candidates"


def images_node(snapshot: Snapshot) -> str:
    """The node that writes the images. Raises UsageError if there is none."""
    for node in snapshot.project.nodes.values():
        if node.stage.output.name == "images":
            return node.name
    raise UsageError("no node writes images", "pipeline", "Add the node ingest to the pipeline's file")


def fitted_size(size: Size, side: int) -> Size:
    """(height, width) scaled up or down so that the longer side has ``side`` pixels."""
    height, width = (max(1, round(length * side / max(size))) for length in size)
    return height, width


def _drawing(picture: Image.Image, etag: str) -> Drawing:
    sink = io.BytesIO()
    if picture.mode == "RGBA":
        picture.save(sink, "WEBP", lossless=True, quality=0, method=0)
        return Drawing(sink.getvalue(), "image/webp", etag)
    picture.save(sink, "JPEG", quality=88)
    return Drawing(sink.getvalue(), "image/jpeg", etag)


def _block(snapshot: Snapshot, image_id: int) -> int:
    return image_id // snapshot.project.store.info.block_size


def _checked(side: int) -> int:
    if side not in SIDES:
        raise UsageError(f"expected a size of {', '.join(map(str, SIDES))} pixels, found {side}", "side")
    return side
