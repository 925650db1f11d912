"""The catalog of a store, with every table and every monitor.

Readers that ask for other views rebuild each other's file: all take this one.
"""

from __future__ import annotations

from pdstore import Catalog, Store
from schemas.monitors import MONITORS
from schemas.tables import TABLES

__all__ = ["catalog_of"]


def catalog_of(store: Store) -> Catalog:
    """SQL over what the recorded pipeline's layers hold."""
    return Catalog(store, TABLES.values(), store.current(), MONITORS.values())
