"""The store and the pipeline that a verb works on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from pdstore import Store, layout
from pdstore.errors import UsageError
from stages.create.store import ensure_listing
from stages.plan.project import Project

__all__ = ["has_store", "open_project", "open_store", "split_words", "store_argument"]


def has_store() -> bool:
    """Whether a store is named, or the present folder is one."""
    return bool(_named()) or Path(layout.STORE).is_file()


def open_store() -> Store:
    """The store of ``--store``, of PD_STORE, or the present folder.

    Raises:
        UsageError: none is named and the present folder is none, or there is none at that place.
    """
    if not has_store():
        fix = "Name yours: pd --store STORE …, or set PD_STORE, or make one: pd init STORE --images DIR"
        raise UsageError(
            f"expected a store, found no --store, no PD_STORE, and no {layout.STORE} here", os.getcwd(), fix
        )
    return Store(_named() or ".")


def open_project(overrides: Iterable[str] = ()) -> Project:
    """The store and its pipeline under further overrides; what a killed ``init`` left undone is done first."""
    store = open_store()
    ensure_listing(store)
    return Project.open(store, overrides)


def split_words(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Words of a command line -> (names of nodes, overrides ``node.key=value``)."""
    listed = list(words)
    return [w for w in listed if "=" not in w], [w for w in listed if "=" in w]


def store_argument(store: Store) -> list[str]:
    """The words that name this store to another process or to the reader; none if it is the present folder."""
    if store.files.is_local and Path(store.files.root) == Path.cwd():
        return []
    return ["--store", store.url]


def _named() -> str:
    return str(click.get_current_context().find_root().obj["store"])
