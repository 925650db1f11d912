"""Samples as they lie in the store."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore import Store, masks
from pdstore.errors import CorruptData
from stages.loading.query import choose
from stages.loading.reader import Place, SampleReader
from tests.stages.loading.made import ABOVE, BLOCK, make_store, masks_of, pixels_of, scores_of, size_of


def reader(store: Store, sql: str = ABOVE, node: str = "", long_side: int = 0) -> SampleReader:
    return Place(store.url, {}, choose(store, sql, node), long_side).open()


@pytest.mark.parametrize("kind", ["made", "packed"])
def test_single_images_and_blocks_give_the_same_samples(kind: str, request: pytest.FixtureRequest) -> None:
    """Both ways give the pixels of the file and the masks that were committed, from a folder and from the store."""
    reads = reader(request.getfixturevalue(kind))
    for image_id in (21, 2, 9):
        above = np.array(scores_of(image_id)) > 0.5
        for sample in (*reads.read([image_id]), reads.block(image_id // BLOCK).sample(image_id)):
            assert sample.image_id == image_id
            np.testing.assert_array_equal(sample.pixels(), pixels_of(image_id))
            np.testing.assert_array_equal(sample.masks(), masks_of(image_id)[above])
            np.testing.assert_array_equal(sample.scores, np.float32(0.75))
            assert sample.labels.tolist() == (np.flatnonzero(above) + image_id % 2).tolist()


def test_images_come_in_the_order_that_was_asked_for(made: Store) -> None:
    """Images of several blocks are read together and given in order, repeated ones included."""
    assert [sample.image_id for sample in reader(made).read([9, 2, 21, 8, 2])] == [9, 2, 21, 8, 2]


def test_boxes_hold_the_masks(made: Store) -> None:
    """A box is the smallest one around the pixels of its mask: left, top, right, bottom."""
    (sample,) = reader(made).read([2])
    for mask, box in zip(sample.masks(), sample.boxes(), strict=True):
        (ys, xs) = np.nonzero(mask)
        assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_masks_of_another_frame_are_brought_to_the_picture(made: Store) -> None:
    """A mask that is stored at half the size covers the same part of the picture: the top half."""
    (sample,) = reader(made, "SELECT * FROM objects").read([3])
    height, width = size_of(3)
    assert sample.masks().shape == (1, height, width)
    assert sample.boxes().tolist() == [[0, 0, width, height // 2]]


def test_pictures_are_scaled_down_with_their_masks(made: Store) -> None:
    """With a limit of the longer side, pictures and masks have the smaller frame."""
    (sample,) = reader(made, long_side=16).read([2])
    height, width = sample.pixels().shape[:2]
    assert max(height, width) == 16 and sample.masks().shape == (2, height, width)
    expected = [masks.resize_nearest(mask, height, width) for mask in masks_of(2)[[0, 2]]]
    np.testing.assert_array_equal(sample.masks(), expected)


def test_images_without_masks_have_the_labels_of_the_query(made: Store) -> None:
    """Where no masks are meant, N is 0 and an image has its own label."""
    for sample in reader(made, "SELECT image_id, class_id AS label FROM images").read([3, 4]):
        assert len(sample.masks()) == len(sample.boxes()) == len(sample.scores) == 0
        assert sample.labels.tolist() == [sample.image_id % 2]


def test_a_store_at_a_url_is_read_in_the_same_way(tmp_path: Path, made: Store) -> None:
    """A choice that is frozen in a store at a URL is read from there, and its samples are those of a local store."""
    store = make_store(tmp_path, url=f"memory://{tmp_path.name}")
    for _ in range(2):
        chosen = choose(store, ABOVE, freeze_as="above")
        assert not chosen.file and chosen.digest == choose(made, ABOVE).digest
    (sample,) = Place(store.url, {}, chosen).open().read([9])
    np.testing.assert_array_equal(sample.pixels(), pixels_of(9))
    np.testing.assert_array_equal(sample.masks(), masks_of(9))


def test_a_jpeg_is_what_pillow_makes_of_it(tmp_path: Path) -> None:
    """The faster decoder of JPEGs at their own size gives the pixels of the other one, up to rounding."""
    store, file = make_store(tmp_path), tmp_path / "images" / "9.png"
    Image.fromarray(pixels_of(9)).save(file, "JPEG", quality=90)
    (sample,) = reader(store).read([9])
    assert np.abs(sample.pixels().astype(int) - np.asarray(Image.open(file))).max() <= 2


def test_an_image_with_no_matching_mask_has_none(made: Store) -> None:
    """An image that is chosen by an object which has no labels comes without masks."""
    sql = "SELECT image_id, 99 AS object_id, 1 AS label FROM images"
    (sample,) = reader(made, sql, "labels").read([3])
    assert sample.masks().shape == (0, *size_of(3)) and len(sample.labels) == 0


def test_an_image_that_has_changed_is_an_error(tmp_path: Path) -> None:
    """A file that is gone or has other pixels is named, and is not trained on."""
    store = make_store(tmp_path)
    (tmp_path / "images" / "2.png").unlink()
    Image.new("RGB", (5, 5)).save(tmp_path / "images" / "3.png")
    reads = reader(store)
    with pytest.raises(CorruptData, match=r"2\.png.*no longer as it was ingested"):
        reads.read([2])
    with pytest.raises(CorruptData, match="it had 30x24 pixels, now 5x5"):
        reads.block(0).sample(3).pixels()


def test_an_image_that_is_no_longer_ingested_is_an_error(made: Store) -> None:
    """A choice of before that names an image which the table lacks now is said to be so."""
    place = Place(made.url, {}, choose(made, ABOVE))
    with pytest.raises(CorruptData, match="image 23.*no longer in the table images"):
        dataclasses.replace(place).open().block(5).sample(23)
