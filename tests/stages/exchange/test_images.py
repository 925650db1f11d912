from __future__ import annotations

from collections import Counter

import numpy as np

from pdstore import Rows, masks
from schemas.tables import OBJECTS
from stages.exchange.choice import Choice, categories_of, image_layer
from stages.exchange.images import ImageMasks, block_images
from tests.stages.exchange.conftest import SIZES, in_pixels


def images_of(masked, node: str, where: str = "true", **options) -> tuple[list[ImageMasks], Counter[str]]:
    layer, images, counts = masked.layer(node), image_layer(masked.store), Counter[str]()
    numbers = {c.name: n for n, c in enumerate(categories_of(masked.store, layer))}
    with Choice(layer, images, where).open() as choose:
        found = [
            image
            for block in layer.units()
            for image in block_images(layer, images, block, choose, numbers, counts, **options)
        ]
    return found, counts


def test_masks_come_in_pixels_of_the_image(masked) -> None:
    """A mask whose frame is smaller than its image is brought to the image; its row keeps its frame."""
    found, _ = images_of(masked, "the-parts")
    stack = [mask for image in found for mask in masks.decode(image.rle, *image.size)]
    assert all(map(np.array_equal, stack, in_pixels(masked.rows["the-parts"])))
    small = next(image for image in found if image.image["image_id"] == 1)
    assert small.size == SIZES[1] and small.rows["height"].tolist() == [20] * 4


def test_a_row_has_one_number_whatever_is_chosen(masked) -> None:
    """The number of a mask within its image does not depend on the condition."""
    found, counts = images_of(masked, "the-parts", "m.part_id = 1")
    assert [image.numbers.tolist() for image in found] == [[1, 3]] * 5
    assert counts["mask not chosen"] == 10 and counts["image without a chosen mask"] == 1


def test_images_without_a_mask_are_listed_if_they_are_asked_for(masked) -> None:
    """All of them, or those of the selection."""
    found, counts = images_of(masked, "the-labels", with_empty=True)
    assert [(image.image["image_id"], len(image)) for image in found][2:4] == [(2, 4), (3, 0)]
    assert counts["image without a chosen mask"] == 0
    found, _ = images_of(masked, "the-labels", "m.score > 2", with_empty=True, only=np.array([0, 4]))
    assert [(image.image["image_id"], len(image)) for image in found] == [(0, 0), (4, 0)]


def test_a_mask_that_vanishes_in_the_image_is_left_out(own) -> None:
    """A pixel of a large frame may fall between those of a smaller image; no format is given an empty mask."""
    rows = own.layer("the-objects").read(1)
    pixel = np.zeros((1, 999, 999), bool)
    pixel[0, 1, 1] = True
    record = {c.name: rows[c.name][0] for c in rows.table.scalars} | {"height": 999, "width": 999, "area": 1}
    own.layer("the-objects").withdraw(1)
    record |= {"rle": masks.encode(pixel)[0]}
    own.layer("the-objects").commit(1, Rows.from_records(OBJECTS, [record]))
    found, counts = images_of(own, "the-objects", "m.image_id = 4")
    assert found == [] and counts["empty mask"] == 1
