from __future__ import annotations

import numpy as np
import pytest

from stages.drawn.shapes import CLASSES, PERSON, ObjectClass

EVERY_CLASS = pytest.mark.parametrize("drawable", [*CLASSES, PERSON], ids=lambda drawable: drawable.name)


@EVERY_CLASS
def test_classes_have_three_or_four_parts(drawable: ObjectClass) -> None:
    """A class builds exactly the parts that it has colours for."""
    parts = drawable.build(np.random.default_rng(0))
    assert sorted(part.name for part in parts) == sorted(drawable.colours)
    assert len(parts) in (3, 4)


@EVERY_CLASS
def test_polygons_fit_into_the_unit_frame(drawable: ObjectClass) -> None:
    """Whatever the proportions, polygons have an area, and the object fills most of the frame without leaving it."""
    for seed in range(20):
        polygons = [p for part in drawable.build(np.random.default_rng(seed)) for p in part.polygons]
        assert all(p.dtype == np.float64 and p.ndim == 2 and p.shape[1] == 2 for p in polygons)
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


def test_ids_and_names_are_unique() -> None:
    """A class is identified by its WordNet id, which is an ``n`` and eight digits, and by its name."""
    drawables = (*CLASSES, PERSON)
    assert len({d.wnid for d in drawables}) == len({d.name for d in drawables}) == 7
    assert all(d.wnid[0] == "n" and d.wnid[1:].isdigit() and len(d.wnid) == 9 for d in drawables)
