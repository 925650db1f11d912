"""Reads YAML that users wrote, as plain values; whatever is wrong with it becomes one ValueError."""

from __future__ import annotations

from typing import Any

__all__ = ["read_yaml"]

MOST_VALUES = 100_000
"""Of one text, each value counted wherever an alias puts it: a text of ten lines can stand for billions of them."""
_DEEPEST = 100


def read_yaml(text: str, *, is_line: bool = False) -> Any:
    """The value of a YAML text: mappings, lists, text, numbers, dates.

    Args:
        is_line: it is a word or a line, so that errors need not say where they are.

    Raises:
        ValueError: it is not valid YAML, names a Python object, is nested too deeply, or stands for too many values.
    """
    # Imported here: every verb comes by, and most have nothing to read.
    import yaml

    try:
        value = yaml.safe_load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        why = getattr(error, "problem", None) if is_line else None
        raise ValueError(" ".join(str(why or error).split())) from None
    _count(value, 0, 0)
    return value


def _count(value: Any, depth: int, before: int) -> int:
    """How many values there are up to and in this one. Raises ValueError if they are too many, or too deep."""
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    if before > MOST_VALUES:
        raise ValueError(f"its aliases (*name) stand for more than {MOST_VALUES} values")
    before += 1
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    if isinstance(inner, list | tuple | set):
        for each in inner:
            before = _count(each, depth + 1, before)
    return before
