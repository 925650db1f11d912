"""One block of a store as a stage reads it: rows of its inputs, keys, and pictures, singly or in batches."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Rows, Table
from pdstore.errors import StorageFailure
from pdstore.files import Files
from stages.source.decoded_size import MAX_DECODED_MB
from stages.source.frames import Size, frame_of
from stages.source.images import ImageFault, Picture, decode, decode_ahead
from stages.source.key_paths import leads_out

__all__ = [
    "CHANGED",
    "MISSING_FILE",
    "UNREADABLE",
    "Block",
    "batched",
    "check_unchanged",
    "decoded_mb",
    "is_packed",
    "read_image",
]

CHANGED = "changed"
"""Reason in ``errors`` for an image whose file was replaced after it was ingested."""
MISSING_FILE = "missing_file"
"""Reason in ``errors`` for an image whose file does not exist."""
UNREADABLE = "unreadable"
"""Reason in ``errors`` for an image whose file may not be read."""

Pixels = npt.NDArray[np.uint8]
_ABOUT_THE_PATH = {errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""Errors about the path itself: a second try would fail in the same way."""


class Owner(Protocol):
    """What a block needs of the unit that reads it: see :class:`stages.unit.Unit`."""

    images: Files
    layers: Mapping[str, Sequence[Layer]]

    def reject(self, image_id: int, reason: str, detail: str) -> None: ...

    def check_stop(self) -> None: ...

    def advance(self, images: int) -> None: ...


class Block:
    """Block ``number`` of the inputs of ``owner``. Nothing is read before it is needed."""

    def __init__(self, owner: Owner, number: int) -> None:
        self.number = number
        self._owner = owner

    def rows(self, role: str, columns: Iterable[str] | None = None) -> Rows:
        """The rows that a role's node wrote for this block; if the role has several nodes, the rows of all of them."""
        names = None if columns is None else list(columns)
        layers = self._owner.layers[role]
        return Rows.concat(layers[0].table, (layer.read(self.number, names) for layer in layers))

    def table(self, role: str) -> Table:
        """The declaration of a role's rows."""
        return self._owner.layers[role][0].table

    @cached_property
    def image_rows(self) -> Rows:
        """The block's rows of ``images``, without the packed files."""
        return self.rows("images", [c.name for c in self.table("images").scalars])

    @cached_property
    def keys(self) -> dict[int, str]:
        """image_id -> key."""
        return dict(zip(self.image_rows["image_id"].tolist(), self.image_rows["key"].tolist(), strict=True))

    @cached_property
    def classes(self) -> dict[int, tuple[int, str]]:
        """image_id -> (class_id, class_name)."""
        rows = self.image_rows
        ids, numbers, names = (rows[c].tolist() for c in ("image_id", "class_id", "class_name"))
        return {i: (number, name) for i, number, name in zip(ids, numbers, names, strict=True)}

    def frames(self, longest: int) -> dict[int, Size]:
        """image_id -> its frame, whose longer side has at most ``longest`` pixels; 0 keeps the image's size."""
        rows = self.image_rows
        sizes = zip(rows["height"].tolist(), rows["width"].tolist(), strict=True)
        return {i: frame_of(size, longest) for i, size in zip(rows["image_id"].tolist(), sizes, strict=True)}

    def pictures(
        self, image_ids: Iterable[int] | None = None, frames: Mapping[int, Size] | None = None
    ) -> Iterator[tuple[int, Pixels]]:
        """(image_id, (h, w, 3) uint8 RGB in the image's frame), decoded ahead; a damaged picture is rejected.

        Args:
            frames: image_id -> the size in which the picture is wanted: see :meth:`frames`. By default, its own.

        Raises:
            Preempted: a signal has requested a stop.
        """
        wanted = list(self.keys) if image_ids is None else [int(i) for i in image_ids]
        for image_id, picture in decode_ahead(wanted, self.loader(self.frames(0) if frames is None else frames)):
            self._owner.check_stop()
            if isinstance(picture, ImageFault):
                self._owner.reject(image_id, picture.reason, picture.detail)
            else:
                yield image_id, picture.pixels
            self._owner.advance(1)

    def batches(
        self,
        size: int,
        shape: Callable[[Pixels], Hashable],
        image_ids: Iterable[int] | None = None,
        *,
        longest: int = 0,
    ) -> Iterator[tuple[list[int], list[Pixels]]]:
        """Pictures of equal ``shape``, at most ``size`` at a time: what a network processes together.

        Args:
            longest: of :meth:`frames`.
        """
        return batched(self.pictures(image_ids, self.frames(longest)), size, shape)

    def loader(self, frames: Mapping[int, Size]) -> Callable[[int], Picture]:
        """A function image_id -> picture that reads the packed files or the image folder and raises ImageFault.

        Its pixels have the size that ``frames`` says.

        A file that is no longer the one that was ingested is a fault: masks that fit the old picture do not fit it.
        """
        files, position, rows = self.files(), {image_id: row for row, image_id in enumerate(self.keys)}, self.image_rows
        heights, widths = (rows[name].tolist() for name in ("height", "width"))
        max_mb = decoded_mb(self._owner.layers["images"][0])

        def load(image_id: int) -> Picture:
            row, frame = position[image_id], frames[image_id]
            picture = decode(files(image_id), frame=lambda size: frame, max_mb=max_mb)
            if picture.size != (heights[row], widths[row]):
                found = f"{picture.size[1]}x{picture.size[0]}"
                raise ImageFault(CHANGED, f"the image had {widths[row]}x{heights[row]} pixels at ingest, now {found}")
            return picture

        return load

    def files(self) -> Callable[[int], bytes]:
        """A function image_id -> the bytes of its file, packed or in the image folder, which raises ImageFault.

        A file whose digest is not the one of its ingest is a fault.
        """
        layer = self._owner.layers["images"][0]
        encoded = layer.read(self.number, ["encoded"]).ragged("encoded") if is_packed(layer) else None
        position = {image_id: row for row, image_id in enumerate(self.keys)}
        digests = self.image_rows["sha256"].tolist()

        def read(image_id: int) -> bytes:
            row = position[image_id]
            if encoded is not None:
                return encoded[row]
            data = read_image(self._owner.images, self.keys[image_id])
            check_unchanged(data, digests[row])
            return data

        return read


def batched(
    pictures: Iterable[tuple[int, Pixels]], size: int, shape: Callable[[Pixels], Hashable]
) -> Iterator[tuple[list[int], list[Pixels]]]:
    """(ids, pictures) of equal ``shape``, at most ``size`` at a time, from pairs of an id and its picture."""
    waiting: dict[Hashable, tuple[list[int], list[Pixels]]] = {}
    for image_id, pixels in pictures:
        ids, stack = waiting.setdefault(shape(pixels), ([], []))
        ids.append(image_id)
        stack.append(pixels)
        if len(ids) == size:
            yield waiting.pop(shape(pixels))
    yield from waiting.values()


def is_packed(images: Layer) -> bool:
    """Whether a layer of images holds their files."""
    return bool(images.info.identity.settings.get("copy", False))


def decoded_mb(images: Layer) -> int:
    """The most MiB that a picture of a layer of images may take while it is decoded: the setting of its ingest."""
    return int(images.info.identity.settings.get("max_decoded_mb", MAX_DECODED_MB))


def check_unchanged(data: bytes, sha256: str) -> None:
    """Raises ImageFault if an image file's bytes are not those that were ingested; no digest matches everything."""
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise ImageFault(CHANGED, f"the file is another one than at ingest (now {len(data)} bytes)")


def read_image(images: Files, key: str) -> bytes:
    """An image file's bytes.

    Raises:
        ImageFault: the file does not exist or cannot be read, or is not in the image folder.
        OSError: the read failed on the way. This says nothing about the image, so another try may succeed.
    """
    if leads_out(key):
        raise ImageFault("outside", f"the key {key!r} leads out of the image folder")
    try:
        return images.read(key)
    except FileNotFoundError:
        raise ImageFault(MISSING_FILE, f"there is no file {images.full(key)}") from None
    except StorageFailure as error:
        raise ImageFault(UNREADABLE, str(error)) from None
    except OSError as error:
        if error.errno in _ABOUT_THE_PATH:
            raise ImageFault(UNREADABLE, str(error)) from None
        raise
