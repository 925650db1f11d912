"""The settings of ``grouping`` that say by what, and into how many segments, an object is divided."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.base import later_setting
from schemas.tracking import PicturedSettings

__all__ = ["DivisionSettings"]


class DivisionSettings(PicturedSettings):
    """At their defaults, k-means on the features alone makes k segments of every object."""

    map_weights: tuple[Annotated[float, Field(gt=0, le=1000)], ...] = later_setting(
        (), description="backbone, auto: weight of each map that is joined, in their order; unless set, 1 each"
    )
    colour: float = later_setting(
        0.0, ge=0, le=1000, description="backbone, auto: weight of the picture's colours, joined to the maps; 0 is off"
    )
    position: float = later_setting(
        0.0, ge=0, le=1000, description="weight of a cell's place in the box of its object, beside the maps; 0 is off"
    )
    blur: float = later_setting(
        0.0, ge=0, le=100, description="maps are averaged inside the object over this width, in cells; 0 is off"
    )
    divide: int = later_setting(
        0, ge=0, le=1000, description="k-means makes this many segments, which are merged to k; 0: it makes k"
    )
    k_min: int = later_setting(
        0, ge=0, le=1000, description="the number of segments is chosen for each object, from this to k; 0: always k"
    )
    merge_cost: float = later_setting(
        0.05, ge=0, le=1, description="k_min: a merge may cost this share of the variance between the k-means segments"
    )
    boundary: float = later_setting(
        0.0, ge=0, le=1, description="discount on merging segments, times the share of their border that they share"
    )
