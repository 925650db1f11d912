"""Arithmetic on run lengths, compiled by numba, which ``import pdstore`` does not load.

The first call of a function compiles it, which takes seconds. Later processes find it on disk: in ``__pycache__``, or
in the folder that ``NUMBA_CACHE_DIR`` names.
"""

from pdstore.runs.algebra import (
    Runs,
    areas,
    areas_inside,
    boxes,
    full,
    intersect,
    one_per_pixel,
    read,
    shares_inside,
    strings,
    to_labels,
    unions,
)
from pdstore.runs.changes import from_changes, from_label_changes, from_labels, from_masks
from pdstore.runs.grids import areas_at, decode_at
from pdstore.runs.moments import moments

__all__ = [
    "Runs",
    "areas",
    "areas_at",
    "areas_inside",
    "boxes",
    "decode_at",
    "from_changes",
    "from_label_changes",
    "from_labels",
    "from_masks",
    "full",
    "intersect",
    "moments",
    "one_per_pixel",
    "read",
    "shares_inside",
    "strings",
    "to_labels",
    "unions",
]
