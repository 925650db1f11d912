"""Images and chosen masks out of a store: of a block at a time, or of single images without their block."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Ragged, Rows, Store, runs
from pdstore.reading.by_image import ImageReader
from pdstore.runs import Runs
from schemas.pipeline import SourceSpec
from stages.block import check_unchanged, decoded_mb, is_packed, read_image
from stages.loading.chosen import Chosen
from stages.source.frames import Size, frame_of, masks_at
from stages.source.images import ImageFault
from stages.source.photos import EncodedPhoto, changed_since_ingest
from stages.source.tars import open_images

__all__ = ["LoadedImages", "Place", "SampleReader", "StoredSample"]

_IMAGE_COLUMNS = ("image_id", "key", "height", "width", "sha256")
_ENCODED = "encoded"


@dataclass(frozen=True, eq=False)
class StoredSample:
    """An image and its chosen masks, not decoded yet.

    Attributes:
        image_id: position of the image in the store.
        photo: the picture, which is decoded when its pixels are asked for.
        rle: N run-length strings, in the frame of the picture.
        labels: (N,) int64.
        scores: (N,) float32; 1 where the table has no scores.
    """

    image_id: int
    photo: EncodedPhoto
    rle: Ragged
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def pixels(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, 0 to 255. Raises CorruptData if the image is no longer as it was ingested."""
        if self.photo.size == self.photo.stored:
            # At its own size, a plain JPEG has a faster decoder.
            return self.photo.reduced(1.0)[0]
        return self.photo.pixels()

    def masks(self) -> npt.NDArray[np.bool_]:
        """(N, H, W) bool, in the frame of the picture. Raises CorruptData if a mask is damaged."""
        return runs.decode_at(self._runs, *(np.arange(length) for length in self.photo.size))

    def boxes(self) -> npt.NDArray[np.float32]:
        """(N, 4) float32: left, top, right and bottom of each mask, in pixels of the picture's frame."""
        corners = runs.boxes(self._runs)
        corners[:, 2:] += corners[:, :2]
        return corners

    @cached_property
    def _runs(self) -> Runs:
        return runs.read(self.rle, *self.photo.size)


@dataclass(frozen=True)
class Place:
    """What a process needs to read the samples of a choice. It opens nothing itself, so it can be sent to a worker.

    Attributes:
        url, options: the store, and what fsspec needs for it.
        chosen: the images and masks.
        long_side: most pixels of the longer side of a picture; 0 is without a limit.
    """

    url: str
    options: Mapping[str, object]
    chosen: Chosen
    long_side: int = 0

    def open(self) -> SampleReader:
        return SampleReader(self)


class SampleReader:
    """Reads samples, in one process. Cheap to make: files are read only when they are needed."""

    def __init__(self, place: Place) -> None:
        self.store = Store(place.url, **place.options)
        self.chosen, self.long_side = place.chosen, place.long_side
        self.images = self.store.layer(*self.chosen.images)
        self.masks = self.store.layer(*self.chosen.masks) if self.chosen.masks else None
        self.files = open_images(self.store, SourceSpec.of(self.store).root)
        self.is_packed, self.max_mb = is_packed(self.images), decoded_mb(self.images)

    def block(self, number: int) -> LoadedImages:
        """All chosen images of a block: one read of its images and one of its masks, without packed files.

        Raises:
            CorruptData: a file of the store is damaged.
        """
        size = self.store.info.block_size
        images, first = self.images.read(number, _IMAGE_COLUMNS), number * size
        rows = self.masks.read(number, self._columns(self.masks)) if self.masks else None
        # A reader of its own: what it keeps of the block is dropped with the block.
        reader, manifest, table = ImageReader(self.store.files), self.images.manifest(number), self.images.table

        def packed(image_id: int) -> bytes:
            return reader.read(manifest, table, [_ENCODED], [image_id]).ragged(_ENCODED)[0]

        return LoadedImages(self, images, rows, (first, first + size - 1), packed)

    def read(self, image_ids: Sequence[int]) -> list[StoredSample]:
        """Single images, in the order of ``image_ids``, without the rest of their blocks.

        Raises:
            CorruptData: a file of the store is damaged, or an image is no longer as it was ingested.
        """
        size = self.store.info.block_size
        by_block: OrderedDict[int, list[int]] = OrderedDict()
        for image_id in image_ids:
            by_block.setdefault(image_id // size, []).append(image_id)
        found = {}
        for number, ids in by_block.items():
            columns = (*_IMAGE_COLUMNS, _ENCODED) if self.is_packed else _IMAGE_COLUMNS
            images = self.images.read_images(number, ids, columns)
            rows = self.masks.read_images(number, ids, self._columns(self.masks)) if self.masks else None
            loaded = LoadedImages(self, images, rows, (min(ids), max(ids)))
            found.update({image_id: loaded.sample(image_id) for image_id in ids})
        return [found[image_id] for image_id in image_ids]

    def _columns(self, layer: Layer) -> list[str]:
        wanted = [*self.chosen.keys, "height", "width", "rle", "score", self.chosen.label_column]
        return [name for name in layer.table.names if name in wanted]


class LoadedImages:
    """The rows of some images of one block, and of their chosen masks.

    Args:
        images: rows of the images.
        rows: rows of the masks; None if there are none.
        span: the first and last image_id that the rows are of.
        packed: the bytes of an image that is packed in the store; by default those of the rows.
    """

    def __init__(
        self,
        reader: SampleReader,
        images: Rows,
        rows: Rows | None,
        span: tuple[int, int],
        packed: Callable[[int], bytes] | None = None,
    ) -> None:
        self._reader, self._images, self._packed = reader, images, packed
        self._row = {image_id: row for row, image_id in enumerate(images["image_id"].tolist())}
        if rows is None:
            labels = reader.chosen.labels_of(*span)
            self._labels_of = {image_id: [label] for (image_id, *_), label in labels.items()}
        else:
            chosen, self._labels = reader.chosen.match(rows, *span)
            self._rows = rows.take(chosen)
            self._spans = self._rows.spans("image_id")
        self._has_masks = rows is not None

    def sample(self, image_id: int) -> StoredSample:
        """Raises CorruptData if the image is no longer as it was ingested."""
        row = self._row.get(image_id)
        if row is None:
            raise changed_since_ingest(f"image {image_id}", "it is no longer in the table images")
        stored = int(self._images["height"][row]), int(self._images["width"][row])
        key = str(self._images["key"][row])
        try:
            data = self._bytes(image_id, row, key)
        except ImageFault as fault:
            raise changed_since_ingest(key, str(fault)) from None
        photo = EncodedPhoto(data, key, stored, frame_of(stored, self._reader.long_side), self._reader.max_mb)
        return self._joined(image_id, photo, photo.size)

    def _bytes(self, image_id: int, row: int, key: str) -> bytes:
        if self._reader.is_packed:
            return self._packed(image_id) if self._packed else self._images.ragged(_ENCODED)[row]
        data = read_image(self._reader.files, key)
        check_unchanged(data, str(self._images["sha256"][row]))
        return data

    def _joined(self, image_id: int, photo: EncodedPhoto, frame: Size) -> StoredSample:
        if not self._has_masks:
            labels = np.array(self._labels_of[image_id], np.int64)
            return StoredSample(image_id, photo, Ragged.from_list([]), labels, np.ones(0, np.float32))
        own = self._spans.get(image_id, slice(0, 0))
        rows = self._rows.take(own)
        has_scores = "score" in rows.columns
        scores = rows["score"].astype(np.float32) if has_scores else np.ones(len(rows), np.float32)
        return StoredSample(image_id, photo, masks_at(rows, frame), self._labels[own], scores)
