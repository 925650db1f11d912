"""The catalog of a store, with every table, every monitor, and what people said applied.

Every reader uses this catalog, because readers with different sets of views would rebuild each other's file.
"""

from __future__ import annotations

from pdstore import Catalog, Store
from pdstore.inventory import shown_layers
from schemas.judgements import JUDGED
from schemas.monitors import MONITORS
from schemas.tables import TABLES

__all__ = ["catalog_of"]


def catalog_of(store: Store) -> Catalog:
    """SQL over the layers of the recorded pipeline; over the former ones until new ones are complete."""
    return Catalog(store, TABLES.values(), shown_layers(store), [*MONITORS.values(), *JUDGED.values()])
