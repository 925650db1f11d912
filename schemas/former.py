"""Pipelines as earlier releases wrote them, in files and in stores: read as what they are called today.

Until 0.1 ``ranking`` read the segments itself, with the settings of today's ``candidates``. So a ``ranking`` with an
input ``segments`` is read as two nodes: a ``candidates`` with that input and those settings, and a ``ranking`` of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["OF_CANDIDATES", "with_candidates", "with_moved_settings"]

OF_CANDIDATES = (
    "min_score",
    "min_object_ratio",
    "min_inside",
    "unique_pixels",
    "object_mask",
    "min_image_ratio",
    "split",
)
"""Settings of ``candidates`` that were once settings of ``ranking``."""


def with_candidates(values: Any) -> Any:
    """A pipeline's values, as they are written in YAML or JSON, with a node ``candidates`` before each old ranking.

    Whatever else is wrong with them is left as it is, for the validation that follows.
    """
    nodes = values.get("nodes") if isinstance(values, Mapping) else None
    if not isinstance(nodes, Mapping) or not any(_is_old(name, node) for name, node in nodes.items()):
        return values
    taken, today = set(nodes), dict[Any, Any]()
    for name, node in nodes.items():
        if not _is_old(name, node):
            today[name] = node
            continue
        source = _free(name, taken)
        today[source], today[name] = _two_nodes(node, source)
    return {**values, "nodes": today}


def with_moved_settings(
    nodes: Mapping[str, Any], overrides: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Recorded overrides, with the former settings of a ranking at the candidates that it reads.

    Args:
        nodes: name -> node of a pipeline after :func:`with_candidates`.
        overrides: node -> setting -> value.
    """
    moved = {node: dict(settings) for node, settings in overrides.items()}
    for name, node in nodes.items():
        sources = node.inputs.get("candidates", ()) if (node.stage or name) == "ranking" else ()
        for setting in set(OF_CANDIDATES) & moved.get(name, {}).keys():
            for source in sources:
                moved.setdefault(source, {})[setting] = moved[name].pop(setting)
    return moved


def _is_old(name: Any, node: Any) -> bool:
    if not isinstance(node, Mapping) or (node.get("stage") or name) != "ranking":
        return False
    inputs = node.get("inputs")
    return isinstance(inputs, Mapping) and "segments" in inputs


def _free(name: str, taken: set[str]) -> str:
    """A name for the candidates of a ranking: ``crf-candidates`` for ``crf-ranking``."""
    found = name.replace("ranking", "candidates") if "ranking" in name else f"{name}-candidates"
    while found in taken:
        found += "-candidates"
    taken.add(found)
    return found


def _two_nodes(node: Mapping[str, Any], source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    settings = node.get("settings")
    given = dict(settings) if isinstance(settings, Mapping) else {}
    moved = {key: given.pop(key) for key in OF_CANDIDATES if key in given}
    candidates = {"stage": "candidates", "inputs": node["inputs"], "settings": moved}
    if node.get("optional"):
        candidates["optional"] = node["optional"]
    ranking = {**node, "stage": "ranking", "inputs": {"candidates": source}}
    return candidates, ranking | ({"settings": given} if isinstance(settings, Mapping) else {})
