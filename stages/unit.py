"""What a stage's function sees of the world: one unit of work, its inputs, and a place to report faults."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pdstore import Layer, Rows, Store
from pdstore.errors import Preempted, StorageFailure
from pdstore.files import Files
from schemas.tables import ERRORS
from stages.source.images import ImageFault, Picture, decode, decode_ahead
from stages.source.listing import ImageClass, Listed

__all__ = ["Output", "Setup", "Unit"]

MISSING_FILE = "missing_file"
"""Reason in ``errors`` of an image whose file is not there."""

_ABOUT_THE_PATH = {errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""Errors that no second try mends."""


@dataclass(frozen=True)
class Output:
    """What a unit of work gives: rows of the stage's table, and extra files such as a network's weights."""

    rows: Rows
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """What a stage needs once, before its first unit.

    Attributes:
        classes: the store's vocabulary.
        models: input role -> local folder with the files of a trained network.
        files: name of a file setting -> its local path.
        device: ``cpu`` or ``cuda``.
    """

    classes: Sequence[ImageClass]
    models: Mapping[str, Path]
    files: Mapping[str, Path]
    device: str = "cpu"


@dataclass
class Unit:
    """One unit of work.

    Attributes:
        number: the block, the bucket, or 0.
        images: image files are read from here.
        layers: input role -> the layers that are read, in the order the pipeline names them.
        committed: node -> the units of its layer that are read, where the runner has fixed them.
        listed: of ingest alone, the block's images as listed.
        checkpoints: of a training, where in the store its resumable state is.
        store: for frozen selections and whole-layer scans.
        should_stop: true once a signal asked to stop; polled between batches.
        advance: reports that n images are done.
    """

    number: int
    store: Store
    images: Files
    layers: Mapping[str, Sequence[Layer]]
    listed: Sequence[Listed] = ()
    checkpoints: str = ""
    should_stop: Callable[[], bool] = lambda: False
    advance: Callable[[int], None] = lambda _: None
    note: Callable[[str], None] = lambda _: None
    faults: list[dict[str, Any]] = field(default_factory=list)
    committed: Mapping[str, Collection[int]] = field(default_factory=dict)

    def rows(self, role: str, columns: Iterable[str] | None = None) -> Rows:
        """The rows that a role's node wrote for this block; of several nodes, those of all."""
        layers = self.layers[role]
        return Rows.concat(layers[0].table, (layer.read(self.number, columns) for layer in layers))

    def layer(self, role: str) -> Layer:
        return self.layers[role][0]

    def blocks(self, *roles: str) -> list[int]:
        """The blocks that all nodes of these roles have committed; under ``--allow-partial`` not each has each."""
        members = [layer for role in roles for layer in self.layers[role]]
        held = [self.committed[m.node] if m.node in self.committed else m.units() for m in members]
        return sorted(set.intersection(*map(set, held)))

    @cached_property
    def image_rows(self) -> Rows:
        """The block's rows of ``images``, without the packed files."""
        return self.rows("images", [c.name for c in self.layer("images").table.scalars])

    @cached_property
    def keys(self) -> dict[int, str]:
        """image_id -> key, of the block."""
        return dict(zip(self.image_rows["image_id"].tolist(), self.image_rows["key"].tolist(), strict=True))

    def reject(self, image_id: int, reason: str, detail: str, subject: str | None = None) -> None:
        """Add a row to ``errors``: something was left out, and why."""
        name = self.keys.get(image_id, "") if subject is None else subject
        self.faults.append({"image_id": image_id, "subject": name, "reason": reason, "detail": detail})

    def pictures(self, image_ids: Iterable[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """(image_id, (H, W, 3) uint8 RGB) of the block, decoded ahead; a picture that is damaged is rejected.

        Raises:
            Preempted: a signal asked to stop.
        """
        wanted = list(self.keys) if image_ids is None else [int(i) for i in image_ids]
        load = self.loader()
        for image_id, picture in decode_ahead(wanted, load):
            if self.should_stop():
                raise Preempted("expected to finish the block, found a request to stop", f"block {self.number}")
            if isinstance(picture, ImageFault):
                self.reject(image_id, picture.reason, picture.detail)
            else:
                yield image_id, picture.pixels
            self.advance(1)

    def batches(
        self, size: int, shape: Callable[[np.ndarray], Hashable], image_ids: Iterable[int] | None = None
    ) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Pictures of equal ``shape``, at most ``size`` at once: what a network takes together."""
        waiting: dict[Hashable, tuple[list[int], list[np.ndarray]]] = {}
        for image_id, pixels in self.pictures(image_ids):
            ids, stack = waiting.setdefault(shape(pixels), ([], []))
            ids.append(image_id)
            stack.append(pixels)
            if len(ids) == size:
                yield waiting.pop(shape(pixels))
        yield from waiting.values()

    @property
    def missing_files(self) -> int:
        """Images so far whose file is not there."""
        return len({fault["image_id"] for fault in self.faults if fault["reason"] == MISSING_FILE})

    def category(self) -> dict[int, tuple[int, str]]:
        """image_id -> (class_id, class_name) of the block's images."""
        rows = self.image_rows
        ids, numbers, names = (rows[c].tolist() for c in ("image_id", "class_id", "class_name"))
        return {i: (number, name) for i, number, name in zip(ids, numbers, names, strict=True)}

    def errors(self) -> Rows:
        return Rows.from_records(ERRORS, sorted(self.faults, key=lambda row: (row["image_id"], row["subject"])))

    def loader(self) -> Callable[[int], Picture]:
        """image_id -> its picture, from the packed files or the image folder; raises ImageFault."""
        layer = self.layer("images")
        packed = layer.info.identity.settings.get("copy", False)
        encoded = layer.read(self.number, ["encoded"]).ragged("encoded") if packed else None
        position = {image_id: row for row, image_id in enumerate(self.keys)}

        def load(image_id: int) -> Picture:
            return decode(self.images_read(self.keys[image_id]) if encoded is None else encoded[position[image_id]])

        return load

    def images_read(self, key: str) -> bytes:
        """An image file's bytes.

        Raises:
            ImageFault: there is none, or none that may be read.
            OSError: the read failed on the way. It says nothing of the image, and can be tried again.
        """
        try:
            return self.images.read(key)
        except FileNotFoundError:
            raise ImageFault(MISSING_FILE, f"expected a file at {self.images.full(key)}, found none") from None
        except StorageFailure as error:
            raise ImageFault("unreadable", str(error)) from None
        except OSError as error:
            if error.errno in _ABOUT_THE_PATH:
                raise ImageFault("unreadable", str(error)) from None
            raise
