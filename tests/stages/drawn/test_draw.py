from __future__ import annotations

import numpy as np

from stages.drawn.draw import SIZE_PX, Drawing, draw
from stages.drawn.shapes import CLASSES, PERSON

NUM = 60


def drawings(seed: int = 0) -> list[Drawing]:
    return [draw(seed, index, CLASSES[index % len(CLASSES)].wnid) for index in range(NUM)]


def test_an_image_is_a_pure_function_of_seed_and_index() -> None:
    """The same seed and index give the same bytes; another seed or another index does not."""
    first, again = draw(3, 5, "n02958343"), draw(3, 5, "n02958343")
    assert np.array_equal(first.image, again.image)
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(first.parts, again.parts, strict=True))
    assert not np.array_equal(first.image, draw(3, 6, "n02958343").image)
    assert not np.array_equal(first.image, draw(4, 5, "n02958343").image)


def test_parts_are_the_visible_pixels_of_the_main_object_and_perhaps_a_person() -> None:
    """Masks are disjoint and not empty, parts have the names of their class, and every image shows its class."""
    names = {drawable.name: set(drawable.colours) for drawable in (*CLASSES, PERSON)}
    for index, drawing in enumerate(drawings()):
        assert drawing.image.shape == (SIZE_PX, SIZE_PX, 3) and drawing.image.dtype == np.uint8
        stack = np.array([mask for _, _, mask in drawing.parts])
        assert stack.sum(0).max() == 1 and stack.any((1, 2)).all()
        owners = {name for name, _, _ in drawing.parts}
        assert all(part in names[name] for name, part, _ in drawing.parts)
        assert owners <= {CLASSES[index % len(CLASSES)].name, "person"}
        assert CLASSES[index % len(CLASSES)].name in owners


def test_about_a_fifth_of_the_images_show_a_person() -> None:
    """People appear in some images, and person is not a class of the vocabulary."""
    with_person = sum("person" in {name for name, _, _ in drawing.parts} for drawing in drawings(1))
    assert 0.1 * NUM < with_person < 0.4 * NUM
    assert "person" not in {drawable.name for drawable in CLASSES}
