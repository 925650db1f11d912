import numpy as np

from stages.drawn.draw import SIZE_PX, draw
from stages.drawn.shapes import CLASSES, PERSON

NUM = 60


def drawings(seed: int = 0) -> list:
    return [draw(seed, index, CLASSES[index % len(CLASSES)].wnid) for index in range(NUM)]


def test_an_image_is_a_pure_function_of_seed_and_index() -> None:
    """The same seed and index give the same bytes; another seed or index does not."""
    first, again = draw(3, 5, "n02958343"), draw(3, 5, "n02958343")
    assert np.array_equal(first.image, again.image)
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(first.parts, again.parts, strict=True))
    assert not np.array_equal(first.image, draw(3, 6, "n02958343").image)
    assert not np.array_equal(first.image, draw(4, 5, "n02958343").image)


def test_parts_are_the_visible_pixels_of_the_main_object_and_perhaps_a_person() -> None:
    """Masks are disjoint and not empty, parts have names of their class, and an image shows its own class."""
    names = {thing.name: set(thing.colours) for thing in (*CLASSES, PERSON)}
    for index, drawing in enumerate(drawings()):
        assert drawing.image.shape == (SIZE_PX, SIZE_PX, 3) and drawing.image.dtype == np.uint8
        stack = np.array([mask for _, _, mask in drawing.parts])
        assert stack.sum(0).max() == 1 and stack.any((1, 2)).all()
        assert all(part in names[thing] for thing, part, _ in drawing.parts)
        assert {thing for thing, _, _ in drawing.parts} <= {CLASSES[index % len(CLASSES)].name, "person"}
        assert CLASSES[index % len(CLASSES)].name in {thing for thing, _, _ in drawing.parts}


def test_about_a_fifth_of_the_images_hold_a_person_that_no_class_names() -> None:
    """People are in some images, and person is no class of the vocabulary."""
    with_person = sum("person" in {thing for thing, _, _ in drawing.parts} for drawing in drawings(1))
    assert 0.1 * NUM < with_person < 0.4 * NUM
    assert "person" not in {thing.name for thing in CLASSES}


def test_classes_have_three_or_four_parts() -> None:
    """Every class builds exactly the parts that it has colours for."""
    for thing in (*CLASSES, PERSON):
        parts = thing.build(np.random.default_rng(0))
        assert {part.name for part in parts} == set(thing.colours)
        assert len(parts) in (3, 4)
