"""How the rows of a table of masks are named and coloured in pictures, and which columns that takes."""

from __future__ import annotations

from collections.abc import Mapping

from pdstore import Rows, Table

__all__ = ["mask_colours", "mask_names", "without_vectors"]

_COLOUR = {"objects": "object_id", "parts": "part_id", "proposals": "proposal_id"}
_OBJECT_STRIDE = 5
"""Added to the colour per object, so that the parts of two objects have different colours."""


def mask_colours(rows: Rows) -> list[int]:
    """(N,) numbers, which :func:`stages.kernels.pictures.colour_of` turns into colours."""
    column = "cluster" if "cluster" in rows.columns else _COLOUR.get(rows.table.name)
    if column is None:
        return list(range(len(rows)))
    numbers = rows[column].astype(int)
    if column == "part_id":
        numbers = numbers + _OBJECT_STRIDE * rows["object_id"]
    return [int(n) for n in numbers]


def mask_names(rows: Rows, class_names: Mapping[int, str]) -> list[str]:
    """(N,) what each mask is of: the class of an object, the name or number of a part, the number of a proposal.
    Masks of other tables have the name of their table.

    Args:
        class_names: class_id -> name, put before the names of parts; may be empty.
    """
    if rows.table.name == "objects":
        return [name or "object" for name in rows["category_name"].tolist()]
    if rows.table.name == "proposals":
        return [f"proposal {number}" for number in rows["proposal_id"].tolist()]
    if not {"cluster", "part_id"} & rows.columns.keys():
        return [rows.table.name] * len(rows)
    numbers = rows["cluster" if "cluster" in rows.columns else "part_id"].tolist()
    given = rows["part_name"].tolist() if "part_name" in rows.columns else [""] * len(rows)
    parts = [name or f"part {number}" for name, number in zip(given, numbers, strict=True)]
    classes = [class_names.get(number, "") for number in rows["category_id"].tolist()]
    return [f"{name} {part}".strip() for name, part in zip(classes, parts, strict=True)]


def without_vectors(table: Table) -> list[str]:
    """The scalar columns of a table and its masks: what drawing and exporting need, which have no use for features."""
    return [c.name for c in table.columns if c.layout == "scalar" or c.name == "rle"]
