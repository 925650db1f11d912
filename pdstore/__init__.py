"""The engine: a Zarr store indexed by DuckDB, committed block by block. It knows nothing about parts or models."""

from importlib import import_module
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
    "open",
]


def open(url: str, **options: object) -> Any:
    """A store, to be read from a notebook or a script: a :class:`stages.notebook.Database`.

    This is the one door from the engine to what is built on it: the class is loaded by its name at the first call, so
    ``import pdstore`` stays light.

    Args:
        url: a local folder or an fsspec URL.
        options: passed on to fsspec.

    Raises:
        UsageError: there is no store at ``url``.

    >>> db = pdstore.open("my-store")
    >>> db.sql("SELECT count(*) AS images FROM images").columns
    ['images']
    """
    return import_module("stages.notebook").Database(Store(url, **options))


def __getattr__(name: str) -> Any:
    # The catalog loads DuckDB, which only SQL needs.
    if name == "Catalog":
        from pdstore.catalog import Catalog

        return Catalog
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
