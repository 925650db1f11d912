"""The settings of the stages that score: ``eval``, ``losses`` and ``proxies``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import SEED_MAX, checkpoint_setting, operational
from schemas.tracking import TrackedSettings

__all__ = ["EvalSettings", "LossesSettings", "ProxiesSettings"]


class EvalSettings(TrackedSettings):
    """Part quality against ground truth."""

    protocol: Literal["honest", "reference", "both"] = Field(
        "honest", description="honest: on held-out images and without help; reference: as published"
    )
    vote_split: str = Field("train", description="honest: split of the images that name the clusters")
    test_split: str = Field("val", description="honest: split of the images that are scored")
    reference_splits: tuple[str, ...] = Field(
        (), description="reference: splits of the images that vote and are scored; unless set, all images"
    )
    ar_limits: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 10, 20, 50, 100, 200), description="AR: numbers of proposals per image"
    )
    processes: int = operational(1, ge=1, le=1024, description="processes that share the blocks")


class LossesSettings(TrackedSettings):
    """What each step costs, against ground truth, on held-out images and by the honest protocol."""

    vote_split: str = Field("train", description="split of the images that name the clusters")
    test_split: str = Field("val", description="split of the images that are scored")
    ar_limit: int = Field(20, ge=1, description="AR: number of masks per image")
    processes: int = operational(1, ge=1, le=1024, description="processes that share the blocks")


class ProxiesSettings(TrackedSettings):
    """How stable and how separate segments and clusters are, without ground truth."""

    objects: int = Field(200, ge=1, description="objects whose pixels are grouped again, drawn from all")
    classes: int = Field(100, ge=1, description="object classes whose segments are clustered again, drawn from all")
    segments: int = Field(2000, ge=2, description="most segments of a class that are clustered again")
    seed: int = Field(0, ge=0, le=SEED_MAX, description="seed of what is drawn")
    weights: str = checkpoint_setting("", description="weights of the grouping, if its backend is auto")
