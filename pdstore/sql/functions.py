"""Functions of Python in SQL, on columns of Arrow, whose errors are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import duckdb

from pdstore.errors import PdError

__all__ = ["Problems"]


class Problems:
    """The errors that functions raised inside a query, of which DuckDB keeps only the text."""

    def __init__(self) -> None:
        self._found: list[PdError] = []

    @property
    def first(self) -> PdError | None:
        return self._found[0] if self._found else None

    def add_function(
        self,
        connection: duckdb.DuckDBPyConnection,
        name: str,
        function: Callable[..., Any],
        types: Sequence[str],
        result: str,
        *,
        sees_null: bool = False,
    ) -> None:
        """Let the connection know a function; what it raises is kept here.

        Args:
            function: Arrow columns of one length -> an Arrow column of that length.
            types: SQL types of its arguments. result: of what it gives.
            sees_null: the function is asked about rows with NULL, too; otherwise its answer for them is NULL.
        """

        @wraps(function)
        def noting(*columns: Any) -> Any:
            try:
                return function(*columns)
            except PdError as error:
                self._found.append(error)
                raise

        nulls = "special" if sees_null else "default"
        # Words, because the module of these enumerations has another name in every version of DuckDB.
        connection.create_function(name, noting, list(types), result, type="arrow", null_handling=nulls)  # type: ignore[call-overload]
