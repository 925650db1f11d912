"""Settings that are given beside the pipeline's file: ``node.setting=value``, the value read as YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from pdstore.errors import UsageError

__all__ = ["merge_overrides", "parse_override", "parse_value", "place"]


def parse_override(text: str) -> tuple[str, str, Any]:
    """``grouping.k=5`` -> (grouping, k, 5). The value is read as YAML.

    Raises:
        UsageError: it has not this form.
    """
    path, equals, value = text.partition("=")
    node, dot, key = path.partition(".")
    if not (equals and dot and node and key):
        raise UsageError(f"expected node.setting=value, found {text!r}", "override", "For example: grouping.k=5")
    return node, key, parse_value(value, text)


def parse_value(value: str, where: str) -> Any:
    """A setting's value, written as YAML.

    Raises:
        UsageError: it is none.
    """
    try:
        return yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:
        why = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UsageError(
            f"expected a YAML value, found {value!r} ({why})", where, "For example: 5, true, [1, 2] or 'a: b'"
        ) from None


def merge_overrides(
    overrides: Iterable[str], given: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, dict[str, Any]]:
    """node -> setting -> value: ``given``, and over it ``node.setting=value`` each.

    Raises:
        UsageError: an override has not this form.
    """
    merged = {node: dict(settings) for node, settings in (given or {}).items()}
    for node, key, value in map(parse_override, overrides):
        merged.setdefault(node, {})[key] = value
    return merged


def place(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Set ``values[a][b][c] = value`` for the path [a, b, c]; a plain value in the way is replaced."""
    for part in path[:-1]:
        inner = values.get(part)
        values[part] = dict(inner) if isinstance(inner, dict) else {}
        values = values[part]
    values[path[-1]] = value
