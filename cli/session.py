"""The store and the pipeline that a verb works with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pyarrow as pa

from pdstore import Store, layout
from pdstore.errors import UsageError
from pdstore.index import fetch_bundle

if TYPE_CHECKING:
    from stages.plan.project import Project

__all__ = ["has_store", "open_project", "open_store", "split_words", "state_or_time", "store_argument"]

_TREES = (layout.RECENT, "leases", "failures", layout.JOBS, layout.JUDGEMENTS, layout.PIPELINES, layout.CHECKPOINTS)
"""Folders that a command that only reads lists as a whole: they hold few files."""


def has_store() -> bool:
    """Whether a store is named, or the current folder is a store."""
    return bool(_named()) or Path(layout.STORE).is_file()


def open_store(*, only_reads: bool = False) -> Store:
    """The store that ``--store`` or PD_STORE names, else the current folder.

    Args:
        only_reads: the command writes nothing to the store, so an object store is asked for everything once.

    Raises:
        UsageError: no store is named and the current folder is not one, or the named place holds no store.
    """
    if not has_store():
        fix = "Name a store with pd --store STORE … or PD_STORE, or make one: pd init STORE --images DIR"
        problem = f"expected a store, found neither --store nor PD_STORE, and no {layout.STORE} in the current folder"
        raise UsageError(problem, os.getcwd(), fix)
    _leave_pandas_out()
    store = Store(_named() or ".")
    if only_reads:
        click.get_current_context().with_resource(store.files.moment(_TREES))
        fetch_bundle(store.files)
    return store


def open_project(overrides: Iterable[str] = (), *, only_reads: bool = False) -> Project:
    """The store and its pipeline with further overrides. Work that a killed ``init`` left unfinished is done first."""
    # Imported here: SQL needs a store, but neither its pipeline nor the settings.
    from stages.create.store import finish_creation
    from stages.plan.project import Project

    store = open_store(only_reads=only_reads)
    finish_creation(store)
    return Project.open(store, overrides)


def state_or_time(text: str) -> int | float:
    """``3`` -> the state 3; a time such as ``2026-11-27T03:00`` -> seconds since 1970. Local, unless it has a zone.

    Raises:
        UsageError: it is neither.
    """
    if text.isdecimal():
        return int(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        fix = "For example: --at 3, or --at 2026-11-27T03:00"
        raise UsageError(f"expected the number of a state or a time, found {text!r}", "--at", fix) from None


def split_words(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Words of a command line -> (names of nodes, overrides ``node.key=value``)."""
    names: list[str] = []
    overrides: list[str] = []
    for word in words:
        (overrides if "=" in word else names).append(word)
    return names, overrides


def store_argument(store: Store) -> list[str]:
    """The words that name this store to another process or to the reader; no words if it is the current folder."""
    if store.files.is_local and Path(store.files.root) == Path.cwd():
        return []
    return ["--store", store.url]


class _NoPandas:
    """Answers to ``import pandas`` that there is none."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out", name=name)


def _leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas, which it does with the first array if it is there: a fifth of our start.

    pyarrow decides once. Whoever imports pandas later gets it.
    """
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)


def _named() -> str:
    return str(click.get_current_context().find_root().obj["store"])
