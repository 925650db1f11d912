from __future__ import annotations

import hashlib

import numpy as np
import pytest

from stages.drawn.draw import SIZE_PX, Drawing, draw
from stages.drawn.drawings import DRAWINGS

NUM = 60


EVERY_DRAWING = pytest.mark.parametrize("name", list(DRAWINGS))
DIGESTS = {
    "shapes": "4e7688c0358f14eb25987daabe124d390b576d5fde428df9eff5d6fa5943ca41",
    "textures": "3cb6b69a9aab61e4d8cea7a543f5ae210e2005540e68242e63024f4a19ed61f8",
}
"""Drawing -> SHA-256 of 24 images of seed 3 and their parts."""


def drawings(seed: int = 0, name: str = "shapes", num: int = NUM) -> list[Drawing]:
    classes = DRAWINGS[name].classes
    return [draw(seed, index, classes[index % len(classes)].wnid, name) for index in range(num)]


@EVERY_DRAWING
def test_the_images_stay_what_they_are(name: str) -> None:
    """Scores of one release can be compared with those of another, because both are on the same images, bit for bit."""
    digest = hashlib.sha256()
    for drawing in drawings(3, name, 24):
        digest.update(drawing.image.tobytes())
        for owner, part, mask in drawing.parts:
            digest.update(f"{owner} {part}".encode() + mask.tobytes())
    assert digest.hexdigest() == DIGESTS[name]


def test_an_image_is_a_pure_function_of_seed_and_index() -> None:
    """The same seed and index give the same bytes; another seed or another index does not."""
    first, again = draw(3, 5, "n02958343"), draw(3, 5, "n02958343")
    assert np.array_equal(first.image, again.image)
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(first.parts, again.parts, strict=True))
    assert not np.array_equal(first.image, draw(3, 6, "n02958343").image)
    assert not np.array_equal(first.image, draw(4, 5, "n02958343").image)


@EVERY_DRAWING
def test_parts_are_the_visible_pixels_of_the_main_object_and_perhaps_a_person(name: str) -> None:
    """Masks are disjoint and not empty, parts have the names of their class, and every image shows its class."""
    classes = DRAWINGS[name].classes
    names = {drawable.name: set(drawable.colours) for drawable in (*classes, DRAWINGS[name].person)}
    for index, drawing in enumerate(drawings(name=name)):
        assert drawing.image.shape == (SIZE_PX, SIZE_PX, 3) and drawing.image.dtype == np.uint8
        stack = np.array([mask for _, _, mask in drawing.parts])
        assert stack.sum(0).max() == 1 and stack.any((1, 2)).all()
        owners = {name for name, _, _ in drawing.parts}
        assert all(part in names[name] for name, part, _ in drawing.parts)
        assert owners <= {classes[index % len(classes)].name, "person"}
        assert classes[index % len(classes)].name in owners


@EVERY_DRAWING
def test_about_a_fifth_of_the_images_show_a_person(name: str) -> None:
    """People appear in some images, and person is not a class of the vocabulary."""
    with_person = sum("person" in {owner for owner, _, _ in drawing.parts} for drawing in drawings(1, name))
    assert 0.1 * NUM < with_person < 0.4 * NUM
    assert "person" not in {drawable.name for drawable in DRAWINGS[name].classes}


def test_the_drawings_differ() -> None:
    """The textures have objects of their own, and other random numbers: no background is shown twice."""
    shapes, textures = (drawing.classes for drawing in DRAWINGS.values())
    assert not {d.wnid for d in shapes} & {d.wnid for d in textures}
    first, second = drawings(0, "shapes", 6), drawings(0, "textures", 6)
    assert all((a.image[:4] != b.image[:4]).any() for a, b in zip(first, second, strict=True))
