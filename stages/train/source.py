"""Samples from the store: the images and masks of a frozen selection, with a window of blocks in memory at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pdstore import Layer, Rows, layout
from pdstore.errors import InputMissing
from pdstore.reading.window import Window
from pdstore.records import remove_with_digest
from pdstore.selection import Selection, freeze
from schemas.catalog import catalog_of
from schemas.training import TrainSettings
from stages.block import decoded_mb
from stages.source.frames import mask_frames
from stages.source.images import ImageFault
from stages.source.photos import EncodedPhoto, changed_since_ingest
from stages.train.samples import Sample
from stages.train.stored_masks import StoredMasks
from stages.unit import Unit

__all__ = ["Choice", "StoreSource", "select"]


@dataclass(frozen=True)
class Choice:
    """Which rows of an input role become the masks of a sample, and what their labels are.

    Attributes:
        role: input role of the training node.
        condition: SQL over the role's table ``m`` and the table of images ``i``. It chooses the images of the
            selection, and later the masks of each block that is read.
        label: computes the labels of rows, (N,) int64.
        has_object_class: samples have the ``class_id`` of their image, for a class-specific head.
    """

    role: str
    condition: str
    label: Callable[[Rows], npt.NDArray[np.int64]]
    has_object_class: bool = False


def select(unit: Unit, settings: TrainSettings, split: str, choice: Choice, name: str) -> Selection:
    """The images of a split that have at least one chosen mask, frozen under ``name``.

    Raises:
        InputMissing: there are no such images.
    """
    store = unit.layer("images").store
    layers = ", ".join(f"'{layer.fingerprint}'" for layer in unit.layers[choice.role])
    table = unit.layer(choice.role).table.name
    sql = f"""
        SELECT DISTINCT image_id FROM {table}_all m JOIN images_all i USING (image_id)
        WHERE m.layer IN ({layers}) AND i.layer = '{unit.layer("images").fingerprint}'
        AND i.split = '{split}' AND ({choice.condition}) ORDER BY image_id"""
    selection = freeze(store, name, lambda: catalog_of(store).query(sql))
    if not len(selection):
        # An empty selection is not kept: if only part of the input was taken, the images may still come.
        remove_with_digest(store.files, layout.selection(name))
        fix = "Lower min_score, min_object_ratio or min_part_ratio, or look at the input with pd sql"
        problem = f"the split {split!r} has no images to train on: none has a mask with {choice.condition}"
        raise InputMissing(problem, name, fix)
    return selection


class StoreSource:
    """A selection as a trainer reads it.

    The rows of a block are read only once while the block is in the window. Memory grows with ``window``, not with
    the number of images.

    Args:
        longest: most pixels of the longer side of a sample; larger images are scaled down to it. 0 is without a limit.
    """

    def __init__(self, unit: Unit, selection: Selection, choice: Choice, window: int, longest: int = 0) -> None:
        self._unit, self._selection, self._choice, self._longest = unit, selection, choice, longest
        # The next window is read while batches of the current one are still waiting, hence twice the window.
        self._blocks = Window(self._block, 2 * window)

    @property
    def block_of_row(self) -> npt.NDArray[np.int64]:
        return self._selection.block_of_row

    def __len__(self) -> int:
        return len(self._selection)

    def read(self, rows: npt.NDArray[np.int64]) -> list[Callable[[], Sample]]:
        """One function per row, which decodes its sample. Blocks that are not in the window are read now.

        The functions raise CorruptData if an image is no longer as it was ingested.
        """
        image_ids = self._selection.image_ids[rows].tolist()
        return [partial(self._blocks[i // self._selection.block_size].sample, i) for i in image_ids]

    def _block(self, number: int) -> _BlockSamples:
        return _BlockSamples(self._unit, number, self._choice, self._longest)


class _BlockSamples:
    """One block of the window: the keys of its images, and its chosen masks by image."""

    def __init__(self, unit: Unit, number: int, choice: Choice, longest: int) -> None:
        block = unit.block(number)
        self._choice, self._keys, self._classes = choice, block.keys, block.classes
        self._files, self._stored, self._frames_of = block.files(), block.frames(0), block.frames(longest)
        rows, objects = _rows_of(unit.layers[choice.role], number)
        chosen = _matching(rows, block.image_rows, choice.condition)
        # Rows of one layer rise by image already; those of several layers come layer by layer.
        chosen = chosen[np.argsort(rows["image_id"][chosen], kind="stable")]
        rows, self._objects = rows.take(chosen), objects[chosen]
        self._rle, self._labels, self._spans = rows.ragged("rle"), choice.label(rows), rows.spans("image_id")
        self._frames = mask_frames(rows)
        self._max_mb = decoded_mb(unit.layers["images"][0])

    def sample(self, image_id: int) -> Sample:
        key = self._keys[image_id]
        try:
            data = self._files(image_id)
        except ImageFault as fault:
            raise changed_since_ingest(key, str(fault)) from None
        photo = EncodedPhoto(data, key, self._stored[image_id], self._frames_of[image_id], self._max_mb)
        own = self._spans[image_id]
        stored = StoredMasks(self._rle.take(own), self._frames[own], photo.size)
        object_class = self._classes[image_id][0] if self._choice.has_object_class else 0
        return Sample(image_id, photo, stored, self._labels[own], object_class, self._objects[own])


def _rows_of(layers: Sequence[Layer], block: int) -> tuple[Rows, npt.NDArray[np.int64]]:
    """The rows of a block in all layers that have committed it, without features, and numbers of their objects.

    Two layers may give the same ``object_id`` to different objects of an image, so it takes the layer, too.
    """
    columns = [c.name for c in layers[0].table.columns if c.name != "feature"]
    parts = []
    for layer in layers:
        # Not asked before: that would list the units of the layer, of which there may be thousands, for every block.
        with contextlib.suppress(InputMissing):
            parts.append(layer.read(block, columns))
    numbers = [part["object_id"].astype(np.int64) * len(parts) + number for number, part in enumerate(parts)]
    return Rows.concat(layers[0].table, parts), np.concatenate([np.zeros(0, np.int64), *numbers])


def _matching(rows: Rows, images: Rows, condition: str) -> npt.NDArray[np.int64]:
    """The numbers of the rows that meet ``condition``, in rising order; the same SQL chose the selection."""
    numbered = rows.to_arrow().append_column("row", pa.array(np.arange(len(rows))))
    with duckdb.connect() as connection:
        connection.register("rows_m", numbered)
        connection.register("rows_i", images.to_arrow())
        sql = f"SELECT m.row FROM rows_m m JOIN rows_i i USING (image_id) WHERE {condition} ORDER BY m.row"
        return np.asarray(connection.sql(sql).fetchnumpy()["row"], np.int64)
