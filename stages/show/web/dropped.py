"""What a node made nothing of, as far as the rows of an image and the node's settings tell why."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pdstore import Rows
from stages.plan.pipeline import Node

__all__ = ["bounds_of", "dropped"]

_BOUNDS = ("min_", "max_", "threshold")
_NUMBERS = {"proposals": "proposal_id", "parts": "part_id"}


def bounds_of(node: Node) -> dict[str, float]:
    """The settings of a node that are thresholds: name -> value. Those that let everything through are left out."""
    values = node.settings.model_dump()
    return {
        name: value
        for name, value in values.items()
        if name.startswith(_BOUNDS) and isinstance(value, int | float) and not isinstance(value, bool) and value
    }


def dropped(node: Node, rows: Rows, inputs: Mapping[str, Rows], split: str) -> list[str]:
    """Sentences about the rows of an image that the node read and that none of its own rows comes from.

    Args:
        rows: the node's rows of the image.
        inputs: name of an input node -> its rows of the image.
        split: of the image.
    """
    wanted = node.settings.model_dump().get("split")
    if rows.table.name == "candidates" and wanted and wanted != split:
        return [f"only images of the split {wanted} are clustered; this one is in {split}"]
    found: list[str] = []
    for source in inputs.values():
        name = source.table.name
        if name == "objects" and "object_id" in rows.columns:
            found += _objects(rows, source)
        elif name == "parts" and rows.table.name == "parts":
            found += _parts(rows, source)
        elif name in _NUMBERS and rows.table.name == "candidates":
            found += _segments(node, rows, source, _NUMBERS[name])
    return found


def _objects(rows: Rows, source: Rows) -> list[str]:
    missing = source.take(~np.isin(source["object_id"], rows["object_id"]))
    named = zip(missing["object_id"].tolist(), missing["category_name"].tolist(), strict=True)
    return [f"object {number}{name and f' ({name})'} has none" for number, name in named]


def _parts(rows: Rows, source: Rows) -> list[str]:
    kept = set(zip(rows["object_id"].tolist(), rows["part_id"].tolist(), strict=True))
    pairs = zip(source["object_id"].tolist(), source["part_id"].tolist(), strict=True)
    return [f"part {part} of object {number} has no pixel left" for number, part in pairs if (number, part) not in kept]


def _segments(node: Node, rows: Rows, source: Rows, column: str) -> list[str]:
    """One sentence for the segments below the score, one for those that cover too little of every object."""
    bounds = bounds_of(node)
    missing = source.take(~np.isin(source[column], rows["segment_id"]))
    if column == "part_id":
        pairs = set(zip(rows["object_id"].tolist(), rows["segment_id"].tolist(), strict=True))
        own = zip(source["object_id"].tolist(), source[column].tolist(), strict=True)
        missing = source.take(np.array([pair not in pairs for pair in own], bool))
    # The bound is written in double precision, the score in single.
    is_low = missing["score"] <= np.float32(bounds.get("min_score", -1.0))
    sentences = []
    if is_low.any():
        word = _counted(int(is_low.sum()), source.table.name)
        sentences.append(f"{word} with a score of at most {bounds['min_score']:g} (min_score)")
    if not is_low.all():
        others = [name for name in bounds if name != "min_score"]
        reason = f": too little of an object ({', '.join(others)})" if others else ": no pixel of an object is theirs"
        sentences.append(f"{_counted(int((~is_low).sum()), source.table.name)}{reason}")
    return sentences


def _counted(count: int, table: str) -> str:
    return f"{count} {table.removesuffix('s') if count == 1 else table}"
