"""The store at one moment, opened once: its pipeline and a connection for SQL. New commits make a new snapshot.

A page that loads more rows while one scrolls names the snapshot that it began with, so no row comes twice and none is
left out while a run goes on. The newest snapshots are kept; a page whose snapshot is gone goes on with the newest one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from pdstore import Layer, Store
from pdstore.errors import PdError, UsageError
from pdstore.inventory import shown_layers
from schemas.catalog import catalog_of
from stages.plan.project import Project

__all__ = ["Snapshot", "Snapshots"]

KEPT = 3
"""Snapshots that stay open."""
CHECK_SECONDS = 5.0
"""Time between two looks for new commits; more if a look takes long, so that it is a twentieth of the time at most."""
MAX_ROWS = 10_000
MAX_SECONDS = 10.0
SETTINGS = {"memory_limit": "400MB", "threads": "2"}


@dataclass(frozen=True)
class Snapshot:
    """The store as it was when the snapshot was made.

    Attributes:
        number: rises with every snapshot.
        project: the store with its pipeline.
        shown: node -> fingerprint of the layer that the views show.
        signature: of what is committed.
        database: the one of the connection's databases that has the views.
    """

    number: int
    project: Project
    shown: Mapping[str, str]
    signature: str
    database: str
    connection: duckdb.DuckDBPyConnection

    def rows(
        self, sql: str, parameters: Sequence[Any] = (), limit: int = MAX_ROWS, seconds: float = MAX_SECONDS
    ) -> list[dict[str, Any]]:
        """The first ``limit`` rows of a query, each as column -> value.

        Args:
            sql: a query. What a person typed has to have passed :func:`stages.show.web.condition.checked_condition`.
            parameters: values for the question marks of the query.

        Raises:
            UsageError: the query is not valid, or it takes longer than ``seconds``.
        """
        cursor = self.connection.cursor()
        # A cursor does not take over which database its connection uses.
        cursor.execute(f"USE {self.database}")
        clock = threading.Timer(seconds, cursor.interrupt)
        clock.daemon = True
        clock.start()
        try:
            result = cursor.execute(sql, list(parameters))
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchmany(limit)]
        except duckdb.InterruptException:
            fix = "Ask for less: name a node, a class or a few images"
            raise UsageError(f"the query took longer than {seconds:g} seconds", "SQL", fix) from None
        except duckdb.PermissionException as error:
            raise UsageError(f"a query may read no file: {_first_line(error)}", "SQL") from None
        except duckdb.OutOfMemoryException:
            fix = "Ask for less, or run it with: pd sql"
            raise UsageError("the query needs more memory than a page may use", "SQL", fix) from None
        except duckdb.Error as error:
            fix = "docs/tables.md lists the tables and their columns"
            raise UsageError(f"the query is not valid: {_first_line(error)}", "SQL", fix) from None
        finally:
            clock.cancel()
            cursor.close()

    def layer(self, node: str, fingerprint: str = "") -> Layer:
        """A layer of a node of the pipeline, by default the one that the views show. It may be empty.

        Raises:
            UsageError: there is no such node, or it has no such layer.
        """
        shown = self.shown.get(node) or self.project[node].fingerprint
        if fingerprint in ("", shown):
            return self.project.store.layer(node, shown)
        for layer in self.project.store.layers(self.project[node].name):
            if layer.fingerprint == fingerprint:
                return layer
        raise UsageError(f"the node has no layer {fingerprint!r}", node, "See: pd sql 'SELECT node, layer FROM layers'")


class Snapshots:
    """The newest snapshots of a store. Threads may share it."""

    def __init__(self, url: str, **options: object) -> None:
        self._url, self._options = url, options
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._store = Store(url, **options)
        self._kept = [self._open(1)]
        self._next_check = time.monotonic() + CHECK_SECONDS

    def newest(self) -> Snapshot:
        """The newest snapshot. A look for new commits, if it is time for one, goes on behind it."""
        with self._lock:
            newest, is_time = self._kept[-1], time.monotonic() >= self._next_check
        if is_time and not self._refreshing.locked():
            threading.Thread(target=self._refresh_behind, name="snapshots", daemon=True).start()
        return newest

    def get(self, number: int) -> Snapshot:
        """The snapshot of this number, or the newest one if it is gone."""
        newest = self.newest()
        with self._lock:
            return next((snapshot for snapshot in self._kept if snapshot.number == number), newest)

    def refresh(self) -> Snapshot:
        """The newest snapshot after a look for new commits."""
        with self._refreshing:
            started, newest = time.monotonic(), self._kept[-1]
            try:
                if self._signature(self._store) != newest.signature:
                    self._keep(self._open(newest.number + 1))
            finally:
                taken = time.monotonic() - started
                with self._lock:
                    self._next_check = time.monotonic() + max(CHECK_SECONDS, 20 * taken)
        return self._kept[-1]

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for snapshot in self._kept:
                snapshot.connection.close()

    def _refresh_behind(self) -> None:
        try:
            self.refresh()
        except (PdError, OSError, duckdb.Error):
            # A store that is being changed or is out of reach for a moment: the pages show what they showed.
            return

    def _open(self, number: int) -> Snapshot:
        signature = self._signature(self._store)
        project = Project.open(self._store)
        connection = catalog_of(self._store).connect(SETTINGS)
        row = connection.execute("SELECT current_database()").fetchone()
        assert row is not None
        return Snapshot(number, project, shown_layers(self._store), signature, str(row[0]), connection)

    @staticmethod
    def _signature(store: Store) -> str:
        return catalog_of(store).signature()

    def _keep(self, snapshot: Snapshot) -> None:
        with self._lock:
            self._kept.append(snapshot)
            # A query of an old snapshot may still run: its connection closes itself when the last cursor is gone.
            del self._kept[:-KEPT]


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
