from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pdstore import Store
from schemas.pipeline import SourceSpec
from schemas.stages import RankingSettings
from stages.create.store import add_images
from stages.plan import unit_sizes
from stages.plan.editing import edited, pipeline_text, with_node
from stages.plan.presets import parse_pipeline
from stages.plan.project import Project


@dataclass
class Listed:
    """A listing of so many images and classes."""

    images: int
    num_classes: int

    def classes(self) -> list[int]:
        return list(range(self.num_classes))


def size_of(project: Project, node: str = "ranking") -> int:
    settings = project[node].settings
    assert isinstance(settings, RankingSettings)
    return settings.classes_per_unit


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of six images: one of the two classes of the stores here."""
    monkeypatch.setattr(unit_sizes, "IMAGES_PER_UNIT", 6)


@pytest.mark.parametrize(
    ("images", "classes", "expected"),
    [
        (1_281_167, 1000, 32),
        (14_197_122, 21_841, 64),
        (1_000_000, 10, 1),
        (1_000_000, 1, 64),
        (50_000, 1, 64),
        (300_000, 80, 16),
        (0, 5, 64),
        (0, 0, 64),
    ],
)
def test_a_unit_has_about_as_many_images_whatever_the_classes(images: int, classes: int, expected: int) -> None:
    """ImageNet-1K and 21K, few large classes, and stores for which one unit is enough."""
    listing: Any = Listed(images, classes)
    assert unit_sizes._sized(listing).classes_per_unit == expected


def test_a_new_store_has_units_by_its_images(classical: Callable[..., Store], small_units: None) -> None:
    """The size is a recorded setting; one that the user gave is kept."""
    project = Project.open(classical())
    assert size_of(project) == 1 and project.num_units("ranking") == 2
    assert project.pipeline.overrides["ranking"] == {"classes_per_unit": 1}
    assert size_of(Project.open(classical("ranking.classes_per_unit=64"))) == 64


def test_at_its_default_it_leaves_layers_current() -> None:
    """Rankings that were made before it was a setting are those of 64 classes per unit."""
    assert "classes_per_unit" not in RankingSettings().identity()
    assert RankingSettings(classes_per_unit=32).identity()["classes_per_unit"] == 32


def test_units_stay_when_images_are_added(classical: Callable[..., Store], folder: Path, small_units: None) -> None:
    """The same layer goes on: only its blocks and its input grow."""
    store = classical()
    before = Project.open(store)["ranking"].fingerprint
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "cats" / f"more{number}.jpg")
    assert add_images(store, SourceSpec(root=str(folder))) == 20
    assert Project.open(store)["ranking"].fingerprint == before


def test_a_ranking_keeps_its_units_in_a_changed_pipeline(
    classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose store was made before; a new ranking beside it has units by the images of the store."""
    project = Project.open(classical())
    monkeypatch.setattr(unit_sizes, "IMAGES_PER_UNIT", 6)
    more = with_node(project, "again", "ranking", {"candidates": ["candidates"]}, [])
    assert [size_of(more, name) for name in ("ranking", "again")] == [64, 1]
    assert more["ranking"].fingerprint == project["ranking"].fingerprint
    monkeypatch.setattr(unit_sizes, "IMAGES_PER_UNIT", 1 << 16)
    plain = parse_pipeline(pipeline_text(project), "text")
    assert size_of(edited(more, plain)) == 64
    both = parse_pipeline(pipeline_text(more).replace("      classes_per_unit: 1\n", "      k: 3\n"), "text")
    assert [size_of(edited(more, both), name) for name in ("ranking", "again")] == [64, 1]
