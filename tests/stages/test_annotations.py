from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from pdstore import masks
from pdstore.errors import CorruptData
from schemas.stages import AnnotationsSettings
from stages import annotated_objects, annotated_parts
from stages.coco import read_coco

HEIGHT, WIDTH = 12, 16
CATEGORIES = [
    {"id": 1, "name": "Cat head", "supercategory": "Cat"},
    {"id": 2, "name": "Cat tail", "supercategory": "Cat"},
    {"id": 3, "name": "Person arm"},
]


def box(y: int, x: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + height, x : x + width] = True
    return mask


def polygon(y: int, x: int, height: int, width: int) -> list[list[float]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def uncompressed(mask: np.ndarray) -> dict[str, Any]:
    flat = mask.flatten("F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *changes, len(flat)]).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": [0, *runs] if flat[0] else runs}


def compressed(mask: np.ndarray) -> dict[str, Any]:
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}


def write(path: Path, *annotations: dict[str, Any], **changes: Any) -> Path:
    images = [{"id": 7, "file_name": "0_0.png", "height": HEIGHT, "width": WIDTH}]
    listed = [{"id": 100 + i, "image_id": 7, **annotation} for i, annotation in enumerate(annotations)]
    path.write_text(json.dumps({"images": images, "categories": CATEGORIES, "annotations": listed, **changes}))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(
        tmp_path / "truth.json",
        {"category_id": 3, "segmentation": compressed(box(0, 0, 3, 3))},
        {"category_id": 1, "segmentation": polygon(2, 4, 6, 5)},
        {"category_id": 2, "segmentation": uncompressed(box(0, 9, 4, 4))},
    )


def test_masks_of_every_notation_are_read(file: Path) -> None:
    """Polygons, compressed and uncompressed run lengths give the masks that were drawn."""
    found = read_coco(file)["0_0.png"]
    drawn = [box(0, 0, 3, 3), box(2, 4, 6, 5), box(0, 9, 4, 4)]
    assert [(a.object_name, a.part_name) for a in found] == [("person", "arm"), ("cat", "head"), ("cat", "tail")]
    for annotation, mask in zip(found, drawn, strict=True):
        assert (masks.decode_one(annotation.counts, HEIGHT, WIDTH) == mask).all()


def test_objects_are_unions_with_the_images_own_class_first(file: Path, bench) -> None:
    """An image's objects: its own class is number 0, an object outside the vocabulary has class -1."""
    images = bench.images(np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    settings, setup = AnnotationsSettings(file=str(file)), bench.setup(files={"file": file})
    rows = annotated_objects.start(settings, setup)(bench.unit(images=images)).rows
    assert rows["category_name"].tolist() == ["cat", "person"]
    assert rows["category_id"].tolist() == [0, -1] and rows["object_id"].tolist() == [0, 1]
    whole = masks.decode_one(rows.ragged("rle")[0], HEIGHT, WIDTH)
    assert (whole == box(2, 4, 6, 5) | box(0, 9, 4, 4)).all()
    assert rows["area"].tolist() == [46, 9] and rows["image_id"].tolist() == [0, 0]


def test_parts_carry_their_names_and_their_share(file: Path, bench) -> None:
    """Each part names its object and itself; object_ratio is its share of the object."""
    images = bench.images(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    settings, setup = AnnotationsSettings(file=str(file)), bench.setup(files={"file": file})
    rows = annotated_parts.start(settings, setup)(bench.unit(images=images)).rows
    assert rows["part_name"].tolist() == ["head", "tail", "arm"]
    assert rows["object_id"].tolist() == [0, 0, 1] and rows["part_id"].tolist() == [0, 1, 0]
    assert rows["object_ratio"].tolist() == pytest.approx([30 / 46, 16 / 46, 1.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, r"expected COCO JSON with images, categories and annotations, found TypeError"),
        ({"categories": [{"id": 1}]}, r"found KeyError: 'name'"),
        ({"annotations": [{"id": 5, "image_id": 8, "category_id": 1}]}, r"annotation 5: .* found KeyError: 8"),
        ({"annotations": [{"id": 5, "image_id": 7, "category_id": 9}]}, r"annotation 5: .* found KeyError: 9"),
        ({"annotations": [{"image_id": 7, "category_id": 1}]}, r"annotation 0: .* found KeyError: 'segmentation'"),
        (
            {
                "annotations": [
                    {"id": 5, "image_id": 7, "category_id": 1, "segmentation": {"size": [3, 3], "counts": [9]}}
                ]
            },
            r"annotation 5: .*mask of size \[3, 3\] in an image of \[12, 16\]",
        ),
        ({"annotations": [{"id": 5, "image_id": 7, "category_id": 1, "segmentation": []}]}, r"annotation 5"),
        (
            {
                "annotations": [
                    {"id": 5, "image_id": 7, "category_id": 1, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [5]}}
                ]
            },
            r"annotation 5: .*run lengths of 5 pixels in an image of \[12, 16\]",
        ),
        (
            {
                "annotations": [
                    {
                        "id": 5,
                        "image_id": 7,
                        "category_id": 1,
                        "segmentation": {"size": [HEIGHT, WIDTH], "counts": "999"},
                    }
                ]
            },
            r"annotation 5: .*run lengths of 27 pixels",
        ),
        ({"annotations": ["x"]}, r"annotation 0"),
        ({"annotations": 3}, r"expected COCO JSON"),
    ],
)
def test_a_broken_file_says_where(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """The error names the file and the annotation, and what was found there."""
    path = write(tmp_path / "truth.json", **changes)
    with pytest.raises(CorruptData, match=message) as caught:
        read_coco(path)
    assert str(path) in str(caught.value)


@given(noise=arrays(bool, (HEIGHT, WIDTH)))
def test_any_mask_survives_both_notations(noise: np.ndarray, tmp_path: Path) -> None:
    """Whatever the mask, its uncompressed and compressed run lengths read back as that mask."""
    parts = ({"category_id": 1, "segmentation": encode(noise)} for encode in (compressed, uncompressed))
    for annotation in read_coco(write(tmp_path / "truth.json", *parts))["0_0.png"]:
        assert (masks.decode_one(annotation.counts, HEIGHT, WIDTH) == noise).all()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3"])
def test_what_is_no_coco_file_is_refused(text: str, tmp_path: Path) -> None:
    """Broken JSON, or JSON of another shape, is one error about the file."""
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(CorruptData, match="expected COCO JSON with images, categories and annotations"):
        read_coco(path)
