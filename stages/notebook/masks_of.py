"""Rows of any kind -> the masks that they are about, as pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pdstore import Layer, Ragged, Rows, Store, masks
from pdstore.errors import InputMissing, UsageError
from pdstore.inventory import shown_layers
from stages.source.frames import Size

__all__ = ["arrow_of", "masks_of"]

KEYS = ("image_id", "object_id", "part_id", "proposal_id", "label_id")
"""What tells the masks of a node apart, as far as its table has these columns."""
_MASK = ("height", "width", "rle")

Bools = npt.NDArray[np.bool_]


def arrow_of(rows: Any) -> pa.Table:
    """Rows of :class:`~stages.notebook.result.Result`, Arrow, pandas, polars or a list of dicts -> an Arrow table.

    Raises:
        UsageError: they are something else.
    """
    try:
        if isinstance(rows, Sequence) and not hasattr(rows, "__arrow_c_stream__"):
            return pa.Table.from_pylist(list(rows))
        return pa.table(rows)
    except (TypeError, ValueError, AttributeError, pa.ArrowException):
        fix = "Give what db.sql or db.table gave, or a table of Arrow, pandas or polars"
        raise UsageError(f"expected rows, found {type(rows).__name__}", "rows", fix) from None


def masks_of(store: Store, table: pa.Table, size: Size | None) -> Bools:
    """(N, H, W) bool: the mask of each row, in the rows' frame, or at ``size``.

    Masks are read from the column ``rle`` if there is one, otherwise from the layers, by node and keys.

    Raises:
        UsageError: the rows do not say which masks, or have several frames while ``size`` is None.
        InputMissing: a mask is no longer in the store.
        CorruptData: a mask is damaged.
    """
    if set(_MASK) <= set(table.column_names):
        columns = [table.column(name).to_pylist() for name in _MASK]
    elif "rle" in table.column_names:
        raise _unclear(table, "rows with the column rle need the columns height and width, too")
    else:
        columns = _stored(store, table)
    if any(value is None for column in columns for value in column):
        raise _unclear(table, "a row has NULL in place of a mask or its size")
    frames = np.array(columns[:2], np.int64).T
    if size is None:
        found = np.unique(frames, axis=0)
        if len(found) > 1:
            shown = ", ".join(f"{h} x {w}" for h, w in found[:3].tolist()) + ", …" * (len(found) > 3)
            problem = f"expected masks of one frame, found {len(found)} frames ({shown})"
            raise UsageError(problem, "masks", "Bring them to one size: masks(rows, size=(height, width))")
        size = (int(found[0][0]), int(found[0][1])) if len(found) else (0, 0)
    return np.ascontiguousarray(masks.decode_to(Ragged.from_list(columns[2]), frames, *size))


def _stored(store: Store, table: pa.Table) -> list[list[Any]]:
    """Height, width and run lengths of each row, from the layer that it names."""
    names = table.column_names
    if not {"node", "image_id"} <= set(names):
        raise _unclear(table, "the rows do not say which masks they are about")
    rows = table.select([name for name in ("node", "layer", *KEYS) if name in names]).to_pylist()
    shown = {} if "layer" in names else shown_layers(store)
    by_layer: dict[tuple[str, str], dict[int, list[int]]] = {}
    for number, row in enumerate(rows):
        if row["image_id"] is None or row["node"] is None:
            raise _unclear(table, "a row has NULL in place of its image_id or node")
        place = row["node"], row.get("layer") or shown.get(row["node"], "")
        block = row["image_id"] // store.info.block_size
        by_layer.setdefault(place, {}).setdefault(block, []).append(number)
    found: list[tuple[int, int, bytes]] = [(0, 0, b"")] * len(rows)
    for (node, fingerprint), blocks in by_layer.items():
        layer = store.layer(node, fingerprint)
        keys = _keys(layer, table)
        for block, numbers in blocks.items():
            images = sorted({rows[n]["image_id"] for n in numbers})
            read = layer.read_images(block, images, [*keys, *_MASK])
            places = {key: place for place, key in enumerate(zip(*(read[k].tolist() for k in keys), strict=True))}
            for number in numbers:
                found[number] = _mask(read, places, keys, rows[number])
    return [list(column) for column in zip(*found, strict=True)] or [[], [], []]


def _keys(layer: Layer, table: pa.Table) -> list[str]:
    columns = layer.table.names
    if "rle" not in columns:
        problem = f"{layer.node} writes {layer.table.name}, which have no masks"
        raise UsageError(problem, "masks", "Give rows of objects, parts, proposals, labels or predictions")
    keys = [key for key in KEYS if key in columns]
    if lacking := [key for key in keys if key not in table.column_names]:
        raise _unclear(table, f"rows of {layer.table.name} need the columns {', '.join(lacking)}, too")
    return keys


def _mask(read: Rows, places: dict[Any, int], keys: Sequence[str], row: dict[str, Any]) -> tuple[int, int, bytes]:
    place = places.get(tuple(row[key] for key in keys))
    if place is None:
        wanted = ", ".join(f"{key} {row[key]}" for key in keys)
        raise InputMissing("there is no such mask", f"{row['node']}: {wanted}", "Ask for the rows again")
    return int(read["height"][place]), int(read["width"][place]), read.ragged("rle")[place]


def _unclear(table: pa.Table, problem: str) -> UsageError:
    found = ", ".join(table.column_names)
    fix = "Ask for node, image_id and the row's numbers (such as object_id and part_id), or for rle, height and width"
    return UsageError(f"{problem}; found {found or 'no columns'}", "masks", fix)
