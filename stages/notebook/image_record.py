"""One image of a store: its picture, and what each node has found on it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape

import numpy as np
import numpy.typing as npt
from PIL import Image

from pdstore import Layer, Rows, masks
from pdstore.errors import InputMissing, UsageError, nearest, printable
from stages.kernels.pictures import draw_overlay, fitted
from stages.mask_names import without_vectors
from stages.notebook.result import Result
from stages.plan.project import Project
from stages.show.overlays import drawable, image_of, images_layer, overlay_of
from stages.source.frames import frame_of, mask_frames

__all__ = ["ImageLayer", "ImageRecord", "image_record"]

THUMBNAIL_PX = 224
_FIGURE = (
    '<figure style="margin:0 8px 8px 0;width:{1}px;overflow-wrap:anywhere">'
    '<img src="{0}" width="{1}" height="{2}" alt="{3}"><figcaption>{3}</figcaption></figure>'
)


@dataclass(frozen=True, eq=False)
class ImageLayer:
    """The rows that a node has of one image, and their masks. Read when they are first asked for.

    Attributes:
        node: the node.
        size: (height, width) of the picture, to which masks are brought.
    """

    node: str
    size: tuple[int, int]
    _layer: Layer = field(repr=False)
    _place: tuple[int, int] = field(repr=False)

    @property
    def table(self) -> str:
        """The table that the rows are of, such as ``parts``."""
        return self._layer.table.name

    @cached_property
    def rows(self) -> Result:
        """The scalar columns, one row per mask."""
        return Result(self._read.to_arrow())

    @cached_property
    def masks(self) -> npt.NDArray[np.bool_]:
        """(N, H, W) bool, pixels of the picture: the mask of each row."""
        return masks.decode_to(self._read.ragged("rle"), mask_frames(self._read), *self.size)

    def __len__(self) -> int:
        return len(self._read)

    def __repr__(self) -> str:
        noun = self.table if len(self) != 1 else self.table.removesuffix("s")
        return f"<{self.node}: {len(self)} {noun}>"

    @cached_property
    def _read(self) -> Rows:
        names = without_vectors(self._layer.table)
        unit, image_id = self._place
        return self._layer.read_images(unit, [image_id], names)


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One image: what the store knows of it, its picture, and its layers. A notebook shows it with its masks.

    Attributes:
        image_id: position of the image in the store.
        key: path relative to the image folder.
        class_name: name of the image's class; empty if it has none.
        split: train, val, …
        height, width: of the upright image, in pixels.

    >>> image = db.image(0)
    >>> image.picture.shape == (image.height, image.width, 3)
    True
    >>> layer = image.layers["crf"]
    >>> layer.masks.shape == (len(layer.rows), image.height, image.width)
    True
    """

    image_id: int
    key: str
    class_name: str
    split: str
    height: int
    width: int
    _project: Project = field(repr=False)
    _long_side: int = field(repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of :attr:`picture`: of the image, or of the image scaled down to ``long_side``."""
        return frame_of((self.height, self.width), self._long_side)

    @cached_property
    def picture(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, 0 to 255, upright.

        Raises:
            InputMissing: the file of the image is missing, or is no longer as it was ingested.
        """
        return image_of(self._project, self.image_id, self._long_side)[0]

    @cached_property
    def layers(self) -> Mapping[str, ImageLayer]:
        """Node -> its rows and masks, of the nodes that write masks and have been here, in the pipeline's order."""
        unit = self.image_id // self._project.store.info.block_size
        found = {node: self._project.shown(node) for node in drawable(self._project)}
        return {
            node: ImageLayer(node, self.size, layer, (unit, self.image_id))
            for node, layer in found.items()
            if layer.newest_manifest(unit) is not None
        }

    def overlay(self, node: str, long_side: int = 640) -> Image.Image:
        """The picture with the masks of a node as coloured areas, with ``long_side`` pixels along its longer side.

        Raises:
            UsageError: the node has no masks here.
        """
        overlay = overlay_of(self._project, node, self.image_id) if node in self.layers else None
        if overlay is None:
            fix = nearest(node, [name for name, layer in self.layers.items() if len(layer)])
            raise UsageError(f"{node} has no masks of this image", f"image {self.image_id}", fix)
        return draw_overlay(self.picture, overlay, *fitted(self.picture, long_side))

    def __repr__(self) -> str:
        about = ", ".join(filter(None, [self.class_name, self.split, f"{self.height} x {self.width}"]))
        found = ", ".join(f"{node} {len(layer)}" for node, layer in self.layers.items() if len(layer))
        return printable(f"<image {self.image_id}: {self.key} ({about}); masks: {found or 'none'}>", keep="")

    def _repr_html_(self) -> str:
        title = printable(f"{self.image_id} · {self.key} · {self.class_name}".removesuffix(" · "), keep="")
        width, height = fitted(self.picture, THUMBNAIL_PX)
        plain = Image.fromarray(self.picture).resize((width, height), Image.Resampling.LANCZOS)
        figures = [_figure(plain, title)]
        for node, layer in self.layers.items():
            if len(layer):
                figures.append(_figure(self.overlay(node, THUMBNAIL_PX), repr(layer)[1:-1]))
        return f'<div style="display:flex;flex-wrap:wrap">{"".join(figures)}</div>'


def image_record(project: Project, image_id: int, long_side: int) -> ImageRecord:
    """The record of an image.

    Raises:
        InputMissing: the image has not been ingested.
    """
    layer, unit = images_layer(project), image_id // project.store.info.block_size
    names = ["image_id", "key", "class_name", "split", "height", "width"]
    rows = layer.read_images(unit, [image_id], names) if layer.newest_manifest(unit) else Rows.empty(layer.table)
    if not len(rows):
        fix = f'See why: pd sql "SELECT reason, detail FROM errors WHERE image_id = {image_id}"'
        raise InputMissing("this image was not ingested", f"image {image_id}", fix)
    _, key, class_name, split, height, width = (rows[name].tolist()[0] for name in names)
    return ImageRecord(image_id, key, class_name, split, height, width, project, long_side)


def _figure(picture: Image.Image, caption: str) -> str:
    sink = io.BytesIO()
    picture.save(sink, "WEBP", quality=85)
    uri = f"data:image/webp;base64,{base64.b64encode(sink.getvalue()).decode()}"
    return _FIGURE.format(uri, *picture.size, escape(caption))
