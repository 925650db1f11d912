from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from pdstore import masks
from pdstore.errors import CorruptData, InputMissing
from stages.datasets.coco import CocoReader
from stages.source.images import ImageFault
from stages.source.listing import Listed
from stages.unit import Coverage
from tests.stages.datasets.published import HEIGHT, WIDTH, box, compressed, polygon, uncompressed

CATEGORIES = [
    {"id": 1, "name": "Cat head", "supercategory": "Cat"},
    {"id": 2, "name": "Cat tail", "supercategory": "Cat"},
    {"id": 3, "name": "Person arm"},
]


def load(path: str) -> bytes:
    raise AssertionError(path)


def write(path: Path, *annotations: Any, **changes: Any) -> Path:
    images = [{"id": 7, "file_name": "0_0.png", "height": HEIGHT, "width": WIDTH}]
    listed = [{"id": 100 + i, "image_id": 7, **one} for i, one in enumerate(annotations)]
    path.write_text(json.dumps({"images": images, "categories": CATEGORIES, "annotations": listed, **changes}))
    return path


def drawn(path: Path, segmentation: Any) -> np.ndarray:
    """The mask of an annotation with this segmentation."""
    truth = CocoReader([write(path / "one.json", {"category_id": 1, "segmentation": segmentation})]).read(
        "0_0.png", load
    )
    assert truth is not None and (truth.height, truth.width) == (HEIGHT, WIDTH)
    return masks.decode_one(truth.objects[0].parts[0].counts, HEIGHT, WIDTH)


def test_masks_of_every_notation_are_read(tmp_path: Path) -> None:
    """Polygons, compressed and uncompressed run lengths give the same masks; objects are unions of parts."""
    path = write(
        tmp_path / "truth.json",
        {"category_id": 3, "segmentation": compressed(box(0, 0, 3, 3))},
        {"category_id": 1, "segmentation": [polygon(2, 4, 6, 5)]},
        {"category_id": 2, "segmentation": uncompressed(box(0, 9, 4, 4))},
    )
    truth = CocoReader([path]).read("0_0.png", load)
    assert truth is not None
    found = [(thing.name, part.name, part.counts) for thing in truth.objects for part in thing.parts]
    boxes = [box(2, 4, 6, 5), box(0, 9, 4, 4), box(0, 0, 3, 3)]
    assert [names for *names, _ in found] == [["cat", "head"], ["cat", "tail"], ["person", "arm"]]
    for (*_, counts), mask in zip(found, boxes, strict=True):
        assert (masks.decode_one(counts, HEIGHT, WIDTH) == mask).all()
    assert (masks.decode_one(truth.objects[0].counts, HEIGHT, WIDTH) == boxes[0] | boxes[1]).all()


def test_several_polygons_are_united(tmp_path: Path) -> None:
    """A polygon within another is not a hole. A polygon with two points or none has no pixels."""
    apart = [polygon(1, 1, 4, 4), polygon(10, 20, 5, 5), [3, 3, 20, 20], []]
    assert (drawn(tmp_path, apart) == box(1, 1, 4, 4) | box(10, 20, 5, 5)).all()
    assert (drawn(tmp_path, [polygon(2, 2, 10, 10), polygon(4, 4, 3, 3)]) == box(2, 2, 10, 10)).all()


def test_holes_are_kept(tmp_path: Path) -> None:
    """A polygon may cut out a hole along a seam, and run lengths may have holes."""
    ring = box(2, 2, 12, 12) & ~box(6, 6, 4, 4)
    seam = [2, 2, 14, 2, 14, 14, 2, 14, 2, 2, 6, 6, 6, 10, 10, 10, 10, 6, 6, 6]
    assert (drawn(tmp_path, [seam]) == ring).all()
    assert (drawn(tmp_path, uncompressed(ring)) == ring).all() and (drawn(tmp_path, compressed(ring)) == ring).all()


@given(noise=arrays(bool, (HEIGHT, WIDTH)))
def test_any_mask_survives_both_notations(noise: np.ndarray, tmp_path: Path) -> None:
    """The uncompressed and compressed run lengths of any mask read back as that mask."""
    for encode in (compressed, uncompressed):
        assert (drawn(tmp_path, encode(noise)) == noise).all()


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "no segmentation"),
        ([[1, 2, 3, 4, 5]], r"polygon of shape \(5,\)"),
        ([["a", "b", 1, 2, 3, 4]], "ValueError"),
        ([[0, 0, 1e9, 0, 0, 1e9]], r"polygon that leaves the image of size \[24, 32\]"),
        ([[0, 0, float("nan"), 0, 5, 5]], "polygon that leaves the image"),
        ({"size": [3, 3], "counts": [9]}, r"mask of size \[3, 3\] in an image of size \[24, 32\]"),
        ({"size": [HEIGHT, WIDTH], "counts": [5]}, "runs of 5 pixels in all, for a mask of 24 x 32"),
        ({"size": [HEIGHT, WIDTH], "counts": [-1, HEIGHT * WIDTH + 1]}, "a run of -1 pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": "999"}, "runs of 27 pixels in all"),
        ({"size": [HEIGHT, WIDTH], "counts": "Pg"}, "a last number that is cut off"),
        ({"size": [HEIGHT, WIDTH], "counts": "O"}, "a run of -1 pixels"),
        ({"size": [HEIGHT, WIDTH]}, "KeyError: 'counts'"),
        ({}, "KeyError: 'size'"),
    ],
)
def test_a_malformed_annotation_affects_only_its_image(segmentation: Any, message: str, tmp_path: Path) -> None:
    """The fault names the file, the annotation and what was found; the other image is read."""
    other = {"id": 8, "file_name": "b.png", "height": HEIGHT, "width": WIDTH}
    path = write(tmp_path / "truth.json", {"category_id": 1, "segmentation": segmentation})
    content = json.loads(path.read_text())
    content["images"].append(other)
    content["annotations"].append({"id": 5, "image_id": 8, "category_id": 2, "segmentation": [polygon(0, 0, 3, 3)]})
    path.write_text(json.dumps(content))
    reader = CocoReader([path])
    with pytest.raises(ImageFault, match=message) as caught:
        reader.read("0_0.png", load)
    assert caught.value.reason == "bad_annotation" and "truth.json, annotation 100: " in caught.value.detail
    truth = reader.read("b.png", load)
    assert truth is not None and [thing.name for thing in truth.objects] == ["cat"] and reader.strays == []


def test_an_unlisted_category_is_a_fault_of_the_image(tmp_path: Path) -> None:
    """It is unknown what the mask shows, so the ground truth of the image is incomplete."""
    reader = CocoReader([write(tmp_path / "a.json", {"category_id": 9, "segmentation": [polygon(0, 0, 3, 3)]})])
    with pytest.raises(ImageFault, match="a category that is not listed"):
        reader.read("0_0.png", load)


@pytest.mark.parametrize(
    ("annotation", "label", "message"),
    [
        ({"id": 5, "image_id": 8, "category_id": 1, "segmentation": []}, "annotation 5", "KeyError: 8"),
        ({"category_id": 1}, "annotation 0", "KeyError: 'image_id'"),
        ("x", "annotation 0", "AttributeError"),
    ],
)
def test_an_annotation_of_no_image_is_named(annotation: Any, label: str, message: str, tmp_path: Path) -> None:
    """It is reported by itself, and no image is lost."""
    reader = CocoReader([write(tmp_path / "truth.json", annotations=[annotation])])
    assert [stray.subject for stray in reader.strays] == [f"truth.json, {label}"]
    assert message in reader.strays[0].detail
    assert reader.read("0_0.png", load) is not None


def test_an_annotation_without_a_mask_is_a_fault_of_its_image(tmp_path: Path) -> None:
    """It belongs to a listed image, so the row of errors names that image."""
    with pytest.raises(ImageFault, match="annotation 100: expected a part mask, found ValueError: no segmentation"):
        CocoReader([write(tmp_path / "a.json", {"category_id": 1})]).read("0_0.png", load)


def test_crowds_and_repetitions_are_left_out_with_a_reason(tmp_path: Path) -> None:
    """The other annotations of the image stay; the truth says what is not in it."""
    one = {"category_id": 1, "segmentation": [polygon(0, 0, 3, 3)]}
    crowds = [{**one, "iscrowd": value} for value in (1, True, "1")]
    path = write(tmp_path / "a.json", {**one, "iscrowd": 0}, *crowds, {**one, "id": 100, "iscrowd": 0}, one)
    truth = CocoReader([path]).read("0_0.png", load)
    assert truth is not None and len(truth.objects[0].parts) == 2
    assert [reason for reason, _ in truth.left_out] == ["crowd", "crowd", "crowd", "repeated"]
    assert truth.left_out[0][1].startswith("a.json, annotation 101: iscrowd is 1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [{"id": 7, "file_name": n, "height": 3, "width": 3} for n in "ab"]}, "image .* the id 7 .*'a' and"),
        (
            {"categories": [{"id": "x", "name": n} for n in ("A b", "A c")]},
            "category .* id 'x' stands twice",
        ),
    ],
)
def test_an_id_that_stands_twice_is_refused(changes: Any, message: str, tmp_path: Path) -> None:
    """It is unknown which of the two an annotation means."""
    with pytest.raises(CorruptData, match=message):
        CocoReader([write(tmp_path / "a.json", **changes)])


def test_an_image_in_two_sizes_has_no_truth(tmp_path: Path) -> None:
    """Polygons of one size do not fit the other. In one file or in two, it is a fault of the image."""
    big = [{"id": 1, "file_name": "0_0.png", "height": 10 * HEIGHT, "width": 10 * WIDTH}]
    paths = [write(tmp_path / "a.json"), write(tmp_path / "b.json", images=big)]
    with pytest.raises(ImageFault, match=r"listed in two sizes, \(height, width\) \(24, 32\) and \(240, 320\)"):
        CocoReader(paths).read("0_0.png", load)


def listed(*keys: str) -> list[Listed]:
    return [Listed(i, key, "train", "") for i, key in enumerate(keys)]


def test_what_file_and_store_share_is_counted(tmp_path: Path) -> None:
    """Images are found by other spellings of their paths; unclear ones are strays of their own kind."""
    names = ["./x/0_0.png", "b.png", "c.png"]
    images = [{"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(names)]
    parts = [{"image_id": i, "category_id": 1, "segmentation": [polygon(0, 0, 3, 3)]} for i in (0, 0, 9)]
    reader = CocoReader([write(tmp_path / "a.json", *parts, images=images)])
    assert reader.match(listed("x/0_0.png", "x/b.png", "y/b.png")) == Coverage(3, 1, 3, 1)
    truth = reader.read("x/0_0.png", load)
    assert truth is not None and len(truth.objects[0].parts) == 2 and reader.read("x/b.png", load) is None
    assert [(s.subject, s.reason) for s in reader.strays] == [
        ("a.json, annotation 102", "bad_annotation"),
        ("b.png", "unclear_name"),
    ]


def test_files_that_have_nothing_in_common_with_the_store_are_refused(tmp_path: Path) -> None:
    """The error shows how both spell a path, or an image_id."""
    with pytest.raises(InputMissing, match=r"none of the 1 images .* says, for example, '0_0.png', and .* 'cat/1.png'"):
        CocoReader([write(tmp_path / "a.json")]).match(listed("cat/1.png"))
    strays = [{"image_id": "7", "category_id": 1, "segmentation": []}]
    with pytest.raises(InputMissing, match="none of the 1 annotations belongs to .*: image_id is '7', .* an id 7"):
        CocoReader([write(tmp_path / "a.json", *strays)]).match(listed("0_0.png"))


def test_images_that_the_file_does_not_list_have_no_truth(tmp_path: Path) -> None:
    """None differs from the truth of a listed image that shows nothing."""
    reader = CocoReader([write(tmp_path / "truth.json")])
    assert reader.read("other.png", load) is None
    truth = reader.read("0_0.png", load)
    assert truth is not None and truth.objects == ()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "3", '{"images": null}', '{"images": [], "categories": [{"id": 1}], "annotations": []}'],
)
def test_a_file_that_is_not_coco_is_refused(text: str, tmp_path: Path) -> None:
    """Broken JSON, and JSON with another content, is one error about the file."""
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(CorruptData, match="is not COCO JSON with images, categories and annotations") as caught:
        CocoReader([path])
    assert str(path) in str(caught.value)
