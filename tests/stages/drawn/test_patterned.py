from __future__ import annotations

import numpy as np
import pytest

from stages.drawn.patterned import CLASSES, PERSON
from stages.drawn.shapes import ObjectClass
from stages.drawn.textures import TEXTURES

EVERY_CLASS = pytest.mark.parametrize("drawable", [*CLASSES, PERSON], ids=lambda drawable: drawable.name)


def test_classes_have_two_to_seven_parts() -> None:
    """The number of parts differs, so that no one number of groups fits all; some parts repeat in an object."""
    built = [drawable.build(np.random.default_rng(0)) for drawable in CLASSES]
    assert sorted(map(len, built)) == [2, 3, 4, 5, 5, 7]
    assert sum(len(part.polygons) > 1 for parts in built for part in parts) >= 5


@EVERY_CLASS
def test_each_part_has_a_colour_and_a_texture(drawable: ObjectClass) -> None:
    """A class builds exactly the parts that it has colours and textures for."""
    parts = sorted(part.name for part in drawable.build(np.random.default_rng(0)))
    assert parts == sorted(drawable.colours) == sorted(drawable.textures)
    assert set(drawable.textures.values()) <= set(TEXTURES)


@EVERY_CLASS
def test_polygons_fit_into_the_unit_frame(drawable: ObjectClass) -> None:
    """Whatever the proportions, polygons have an area, and the object fills most of the frame without leaving it."""
    for seed in range(20):
        polygons = [p for part in drawable.build(np.random.default_rng(seed)) for p in part.polygons]
        for x, y in (p.T for p in polygons):
            assert abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) > 0.02
        points = np.concatenate(polygons)
        assert np.abs(points).max() < 1.3 and np.ptp(points, axis=0).max() > 1.5


@EVERY_CLASS
def test_no_two_objects_are_alike(drawable: ObjectClass) -> None:
    """Proportions are drawn from the generator: another seed gives another object, the same seed the same object."""
    objects = [drawable.build(np.random.default_rng(seed)) for seed in (1, 1, 2)]
    corners = [np.concatenate([p for part in parts for p in part.polygons]).tolist() for parts in objects]
    assert corners[0] == corners[1] != corners[2]


def test_both_wings_of_a_butterfly_are_one_part() -> None:
    """A mirrored pair has equal areas and lies on both sides of the body."""
    butterfly = next(drawable for drawable in CLASSES if drawable.name == "butterfly")
    for part in butterfly.build(np.random.default_rng(3)):
        if part.name.endswith("wing"):
            right, left = part.polygons
            assert np.allclose(right * (-1, 1), left) and right[:, 0].mean() > 0 > left[:, 0].mean()
