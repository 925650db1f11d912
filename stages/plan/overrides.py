"""Settings that are given in addition to the pipeline's file: ``node.setting=value``, with a YAML value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pdstore.errors import UsageError
from stages.source.yaml_text import read_yaml

__all__ = ["merge_overrides", "parse_override", "parse_value", "place"]


def parse_override(text: str) -> tuple[str, str, Any]:
    """``grouping.k=5`` -> (grouping, k, 5). The value is read as YAML.

    Raises:
        UsageError: the text does not have this form.
    """
    path, equals, value = text.partition("=")
    node, dot, key = path.partition(".")
    if not (equals and dot and node and key):
        raise UsageError(f"expected node.setting=value, found {text!r}", "override", "For example: grouping.k=5")
    return node, key, parse_value(value, text)


def parse_value(value: str, where: str) -> Any:
    """A setting's value, written as YAML.

    Raises:
        UsageError: the value is not valid YAML.
    """
    try:
        return read_yaml(value, is_line=True)
    except ValueError as error:
        fix = "Write it like these: 5, true, [1, 2] or 'a: b'"
        shown = value if len(value) < 200 else f"{value[:200]}…"
        raise UsageError(f"the value {shown!r} is not valid YAML ({error})", where, fix) from None


def merge_overrides(
    overrides: Iterable[str], given: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, dict[str, Any]]:
    """Node -> setting -> value: ``given``, overridden by each ``node.setting=value``.

    Raises:
        UsageError: an override does not have this form.
    """
    merged = {node: dict(settings) for node, settings in (given or {}).items()}
    for node, key, value in map(parse_override, overrides):
        merged.setdefault(node, {})[key] = value
    return merged


def place(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Set ``values[a][b][c] = value`` for the path [a, b, c], replacing any plain value on the way."""
    for part in path[:-1]:
        inner = values.get(part)
        values[part] = dict(inner) if isinstance(inner, dict) else {}
        values = values[part]
    values[path[-1]] = value
