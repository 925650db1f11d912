"""Which images and masks a data set holds: the ids in the result of a query, sorted, and frozen if asked for."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc as ipc

from pdstore import Rows, Store, layout
from pdstore.errors import UsageError
from pdstore.selection import read_selection

__all__ = ["IMAGE_ID", "LABEL", "Chosen", "frozen"]

IMAGE_ID, LABEL = "image_id", "label"
Ints = npt.NDArray[np.int64]
LayerName = tuple[str, str]
"""Node and fingerprint."""
_RECORD = b"pd"


@dataclass(frozen=True, eq=False)
class Chosen:
    """The images of a data set, and the masks of each.

    Attributes:
        ids: one row per chosen mask, or per image if masks are not chosen singly: int64 columns ``image_id``, the other
            ids (``object_id``, ``label_id``, …) that a mask must have, and ``label`` if the query gives labels. Sorted,
            and no two rows have the same ids.
        images: the layer that holds the images.
        masks: the layer that holds the masks; None if samples have none.
        label_column: the column of the masks' table that is the label; empty if ``ids`` has it, or if every label is 0.
        file: the local file that ``ids`` are mapped from; empty if they are in memory.
    """

    ids: pa.Table
    images: LayerName
    masks: LayerName | None = None
    label_column: str = ""
    file: str = ""

    def __reduce__(self) -> Any:
        # A worker process maps the file again, instead of a copy of its own.
        if self.file:
            return _mapped, (self.file,)
        return Chosen, (self.ids, self.images, self.masks, self.label_column)

    @cached_property
    def image_ids(self) -> Ints:
        """(R,) int64, rising: the images of the data set."""
        ids = self._column(IMAGE_ID)
        return ids[np.diff(ids, prepend=-1) != 0]

    @cached_property
    def digest(self) -> str:
        """Equal for equal choices."""
        digest = hashlib.sha256(repr((self.images, self.masks, self.label_column, self.ids.column_names)).encode())
        for name in self.ids.column_names:
            digest.update(self._column(name).data)
        return digest.hexdigest()[:16]

    @property
    def keys(self) -> list[str]:
        """The columns of ids that a mask must have."""
        return [name for name in self.ids.column_names if name != LABEL]

    def match(self, rows: Rows, first: int, last: int) -> tuple[Ints, Ints]:
        """The numbers of the chosen rows among those of the images ``first`` to ``last``, and the label of each.

        Args:
            rows: rows of the masks' table, with the columns :attr:`keys` and :attr:`label_column`.
        """
        labels = self.labels_of(first, last)
        own = zip(*(rows[name].tolist() for name in self.keys), strict=True)
        found = [(number, labels[key]) for number, key in enumerate(own) if key in labels]
        index = np.array([number for number, _ in found], np.int64)
        if self.label_column:
            return index, rows[self.label_column][index].astype(np.int64)
        return index, np.array([label for _, label in found], np.int64)

    def labels_of(self, first: int, last: int) -> dict[tuple[int, ...], int]:
        """Ids -> label of the chosen rows of the images ``first`` to ``last``; 0 where the query gives none."""
        start, stop = np.searchsorted(self._column(IMAGE_ID), [first, last + 1]).tolist()
        columns = [self._column(name)[start:stop].tolist() for name in self.keys]
        given = LABEL in self.ids.column_names
        labels = self._column(LABEL)[start:stop].tolist() if given else [0] * (stop - start)
        return dict(zip(zip(*columns, strict=True), labels, strict=True))

    def _column(self, name: str) -> Ints:
        chunks = self.ids.column(name)
        return chunks.chunk(0).to_numpy() if chunks.num_chunks else np.zeros(0, np.int64)

    def to_bytes(self, request: Mapping[str, str]) -> bytes:
        """An Arrow file, with the request that led to the choice."""
        record = {
            "request": dict(request),
            "images": self.images,
            "masks": self.masks,
            "label_column": self.label_column,
        }
        sink = io.BytesIO()
        schema = self.ids.schema.with_metadata({_RECORD: json.dumps(record).encode()})
        with ipc.new_file(sink, schema) as writer:
            writer.write_table(self.ids.cast(schema).combine_chunks())
        return sink.getvalue()


def frozen(store: Store, name: str, request: Mapping[str, str]) -> Chosen | None:
    """What is frozen as ``name``; None if nothing is.

    Raises:
        UsageError: another query was frozen under that name.
        CorruptData: its file is damaged, or gone.
    """
    try:
        record, ids = _parsed(read_selection(store, name))
    except FileNotFoundError:
        return None
    file = store.files.full(layout.selection(name)) if store.files.is_local else ""
    if record.get("request") != dict(request):
        made = f"from {record['request']['sql']!r}" if record else "by a training"
        raise UsageError(f"the selection {name!r} was frozen {made}", store.url, "Choose another name")
    return _chosen(record, ids, file)


def _mapped(file: str) -> Chosen:
    return _chosen(*_parsed(ipc.open_file(pa.memory_map(file)).read_all()), file)


def _parsed(table: pa.Table) -> tuple[dict[str, Any], pa.Table]:
    record = (table.schema.metadata or {}).get(_RECORD, b"{}")
    return json.loads(record), table


def _chosen(record: dict[str, Any], ids: pa.Table, file: str) -> Chosen:
    images, masks = tuple(record["images"]), record["masks"] and tuple(record["masks"])
    return Chosen(ids, images, masks, record["label_column"], file)
