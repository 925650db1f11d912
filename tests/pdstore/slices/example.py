"""A table that is sliced by a column, and its rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore import Column, Identity, Layer, Rows, Store, Table
from tests.pdstore.example import new_store

VOTES = Table(
    "votes",
    "One row per vote.",
    (
        Column("group", "int32", "group"),
        Column("voter", "int64", "who"),
        Column("vector", "float16", "a vector", "vector"),
    ),
    sliced_by="group",
)


def votes(groups: npt.ArrayLike, seed: int = 0, width: int = 5) -> Rows:
    """Rows of these groups, with random vectors."""
    group = np.asarray(groups, np.int32)
    vectors = np.random.default_rng(seed).standard_normal((len(group), width)).astype(np.float16)
    return Rows(VOTES, {"group": group, "voter": np.arange(len(group)) + 1000 * seed, "vector": vectors})


def sliced_layer(url: str, units: list[Rows], **options: object) -> Layer:
    """A layer of a new store with these units."""
    store: Store = new_store(url, **options)
    layer = store.declare("votes", Identity("votes", 1), VOTES, "test")
    for number, rows in enumerate(units):
        layer.commit(number, rows)
    return layer
