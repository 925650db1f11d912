"""What can be drawn: plain shapes, or other objects with textures, to check what was tuned on the shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stages.drawn import patterned, shapes
from stages.drawn.presence import SHAPES
from stages.drawn.shapes import ObjectClass

__all__ = ["DRAWINGS", "Subjects"]


@dataclass(frozen=True)
class Subjects:
    """What the images of a data set show.

    Attributes:
        classes: the vocabulary; every image shows one of them.
        person: stands beside it in some images, and is not in the vocabulary.
        stream: words that seed the random generator of an image, before the seed and the image's number.
    """

    classes: tuple[ObjectClass, ...]
    person: ObjectClass
    stream: tuple[str, ...]


DRAWINGS: Mapping[str, Subjects] = {
    SHAPES: Subjects(shapes.CLASSES, shapes.PERSON, ("demo",)),
    "textures": Subjects(patterned.CLASSES, patterned.PERSON, ("demo", "textures")),
}
"""Name -> what is drawn. The names are those of the setting ``drawing`` in :class:`schemas.pipeline.SourceSpec`."""
