from __future__ import annotations

from typing import get_args

from schemas.pipeline import DrawingName, SourceSpec
from stages.drawn.drawings import DRAWINGS
from stages.drawn.presence import SHAPES


def test_the_setting_names_every_drawing() -> None:
    """A source can ask for each drawing and for no other; unless it does, shapes are drawn."""
    assert list(DRAWINGS) == list(get_args(DrawingName)) and SourceSpec(root="").drawing == SHAPES


def test_drawings_share_the_person() -> None:
    """The same class stands beside the objects, with the same parts, so that the same words find it."""
    people = [subjects.person for subjects in DRAWINGS.values()]
    assert len({(person.wnid, person.name, *person.colours) for person in people}) == 1


def test_each_drawing_has_random_numbers_of_its_own() -> None:
    """No two drawings start the generator of an image in the same way."""
    assert len({subjects.stream for subjects in DRAWINGS.values()}) == len(DRAWINGS)
