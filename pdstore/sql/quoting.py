"""Literals of SQL."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["quoted", "quoted_list"]


def quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted_list(texts: Iterable[str]) -> str:
    """A list of string literals of SQL."""
    return f"[{', '.join(map(quoted, texts))}]"
