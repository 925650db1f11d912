"""The engine: a Zarr store indexed by DuckDB, committed block by block. It knows nothing about parts or models."""

from typing import TYPE_CHECKING, Any

from pdstore.errors import PdError
from pdstore.fingerprint import Identity
from pdstore.ragged import Ragged
from pdstore.store import Layer, Store, StoreInfo
from pdstore.stream import Position, SampleOrder
from pdstore.table import Column, Rows, Table, View

if TYPE_CHECKING:
    from pdstore.catalog import Catalog

__version__ = "0.1.0"

__all__ = [
    "Catalog",
    "Column",
    "Identity",
    "Layer",
    "PdError",
    "Position",
    "Ragged",
    "Rows",
    "SampleOrder",
    "Store",
    "StoreInfo",
    "Table",
    "View",
]


def __getattr__(name: str) -> Any:
    # The catalog loads DuckDB, which only SQL needs.
    if name == "Catalog":
        from pdstore.catalog import Catalog

        return Catalog
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
