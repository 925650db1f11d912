"""How many object classes a unit of ``ranking`` has, in a store whose classes have many images."""

from __future__ import annotations

from dataclasses import replace

from schemas.stages import RankingSettings
from stages.plan.overrides import merge_overrides
from stages.plan.pipeline import Pipeline
from stages.plan.project import Project
from stages.source.listing import Listing

__all__ = ["IMAGES_PER_UNIT", "with_unit_sizes"]

IMAGES_PER_UNIT = 2**16
"""With ten candidates each they take a core some minutes, which is what is lost if a worker is killed."""


def with_unit_sizes(project: Project, before: Project | None = None) -> Project:
    """The project in which each new ranking that says nothing else has units of about ``IMAGES_PER_UNIT``.

    It becomes a setting, which stays what it is if images are added: units that are numbered anew are another layer.

    Args:
        before: the project that was changed. A ranking that it has already keeps the size of its units.
    """
    overrides = []
    for name, node in project.nodes.items():
        if isinstance(node.settings, RankingSettings) and "classes_per_unit" not in node.origin:
            former = before.nodes[name].settings if before and name in before.nodes else None
            sized = former if isinstance(former, RankingSettings) else _sized(project.listing)
            if sized.classes_per_unit != node.settings.classes_per_unit:
                overrides.append(f"{name}.classes_per_unit={sized.classes_per_unit}")
    if not overrides:
        return project
    old = project.pipeline
    return replace(
        project, pipeline=Pipeline(old.spec, merge_overrides(overrides, old.overrides), old.root, old.files())
    )


def _sized(listing: Listing) -> RankingSettings:
    """A power of two, at most the default: each unit reads a slice of every block."""
    classes, default = len(listing.classes()), RankingSettings()
    fitting = max(1, IMAGES_PER_UNIT * classes // max(listing.images, 1))
    if fitting >= min(classes, default.classes_per_unit):
        return default
    return RankingSettings(classes_per_unit=1 << (fitting.bit_length() - 1))
