"""What verbs print: tables and JSON on stdout, lines on stderr."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from pdstore.errors import printable

__all__ = ["print_json", "print_table", "say", "seconds_text"]

_UNESCAPED = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], spare: Iterable[str] = ()) -> None:
    """Print a table on stdout, with numbers aligned to the right.

    On a pipe the table is as wide as it needs to be. On a terminal it is fitted to the width; where that would break
    words, each row is printed as one line per cell instead.

    Args:
        spare: columns that are left out on a terminal if all their cells are empty.
    """
    # Imported here: whoever prints JSON or nothing does not wait for rich.
    from cli.tables import fitted, unfitted

    columns, listed = [printable(name, keep="") for name in columns], [list(row) for row in rows]
    if sys.stdout.isatty():
        fitted(columns, listed, set(spare))
    else:
        print(unfitted(columns, listed))


def print_json(value: Any) -> None:
    """Print one JSON document on stdout. Numbers that are not finite become null, as JSON cannot express them."""
    text = json.dumps(_finite(value), indent=1, ensure_ascii=False, default=str, allow_nan=False)
    # JSON itself escapes only some of the control characters. The value that a program reads is the same.
    print(_UNESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str) -> None:
    """Print a line for the reader on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def seconds_text(seconds: float) -> str:
    """``4.2 s``, ``3:05 min``, ``2:00:05 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    text = str(timedelta(seconds=round(seconds)))
    return f"{text} h" if seconds >= 3600 else f"{text[2:].lstrip('0') or '0'} min"
