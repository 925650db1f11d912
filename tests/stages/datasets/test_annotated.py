from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdstore import Rows, masks
from schemas.stages import AnnotationsSettings
from stages.datasets.annotated import labelled
from stages.nodes import annotated_objects, annotated_parts
from stages.source.listing import Listed
from stages.unit import Unit
from tests.stages.datasets.published import HEIGHT, WIDTH, box, compressed, polygon, write_coco, write_mat

BLACK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
CATEGORIES = [{"id": i, "name": n} for i, n in enumerate(("Cat head", "Cat tail", "Person arm"))]
HEAD, TAIL, ARM = range(3)


def rows_of(module: Any, unit: Unit, setup: Any, **values: Any) -> Rows:
    rows: Rows = module.start(AnnotationsSettings.parse(values, "truth"), setup)(unit).rows
    return rows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A cat with two parts, whose head has two annotations, and an arm; the second image shows the tail of a cat."""
    path = tmp_path / "truth.json"
    images = {
        "0_0.png": [
            (ARM, compressed(box(0, 0, 3, 3))),
            (HEAD, [polygon(2, 4, 6, 5)]),
            (TAIL, compressed(box(0, 9, 4, 4))),
            (HEAD, [polygon(2, 8, 6, 2)]),
        ],
        "0_1.png": [(TAIL, [polygon(0, 0, 2, 2)])],
    }
    write_coco(path, images, categories=CATEGORIES)
    return path


def test_objects_are_unions_with_the_images_own_class_first(file: Path, bench: Any) -> None:
    """The object of the image's own class is number 0; an object outside the vocabulary has class -1."""
    unit, setup = bench.unit(images=bench.images(BLACK, BLACK)), bench.setup(files={"file": file})
    rows = rows_of(annotated_objects, unit, setup, file=str(file))
    assert rows["image_id"].tolist() == [0, 0, 1] and rows["object_id"].tolist() == [0, 1, 0]
    assert rows["category_name"].tolist() == ["cat", "person", "cat"] and rows["category_id"].tolist() == [0, -1, 0]
    whole = masks.decode_one(rows.ragged("rle")[0], HEIGHT, WIDTH)
    assert (whole == box(2, 4, 6, 6) | box(0, 9, 4, 4)).all()
    assert rows["area"].tolist() == [50, 9, 4] and unit.faults == []


def test_parts_have_their_names_and_their_share(file: Path, bench: Any) -> None:
    """Each part has the name of its object and its own; object_ratio is its share of the object."""
    unit, setup = bench.unit(images=bench.images(BLACK)), bench.setup(files={"file": file})
    rows = rows_of(annotated_parts, unit, setup, file=str(file))
    assert rows["part_name"].tolist() == ["head", "tail", "head", "arm"]
    assert rows["object_id"].tolist() == [0, 0, 0, 1] and rows["part_id"].tolist() == [0, 1, 2, 0]
    assert rows["object_ratio"].tolist() == pytest.approx([30 / 50, 16 / 50, 12 / 50, 1.0])


def test_parts_of_one_name_are_merged_on_request(file: Path, bench: Any) -> None:
    """The two heads of the cat become one, in the place of the first."""
    unit, setup = bench.unit(images=bench.images(BLACK)), bench.setup(files={"file": file})
    rows = rows_of(annotated_parts, unit, setup, file=str(file), merge_parts=True)
    assert rows["part_name"].tolist() == ["head", "tail", "arm"] and rows["area"].tolist() == [36, 16, 9]
    assert (masks.decode_one(rows.ragged("rle")[0], HEIGHT, WIDTH) == box(2, 4, 6, 6)).all()


def test_in_part_imagenet_every_object_is_of_the_images_class(tmp_path: Path, bench: Any) -> None:
    """The class of an image is a breed and its parts belong to the super-category, so the images may be ImageNet's."""
    write_coco(tmp_path / "val.json", {"0_0.png": [(0, [polygon(0, 0, 4, 4)])]})
    unit, setup = (
        bench.unit(images=bench.images(BLACK, classes=[1])),
        bench.setup(files={"file": tmp_path / "val.json"}),
    )
    rows = rows_of(annotated_parts, unit, setup, format="part_imagenet", file="val.json")
    assert (rows["category_id"].tolist(), rows["category_name"].tolist()) == ([1], ["quadruped"])


def test_a_faulty_annotation_leaves_out_its_image_and_is_reported(tmp_path: Path, bench: Any) -> None:
    """Masks of another size, a missing file and masks without pixels are error rows; the good image has its rows."""
    small = np.zeros((HEIGHT, WIDTH - 1, 3), np.uint8)
    images = bench.images(BLACK, small, BLACK, BLACK)
    none = np.zeros((HEIGHT, WIDTH), bool)
    write_mat(tmp_path / "mat/0_0.mat", ("dog", box(0, 0, 4, 4), [("head", none), ("tail", box(0, 0, 1, 1))]))
    write_mat(tmp_path / "mat/0_1.mat", ("dog", box(0, 0, 4, 4), []))
    write_mat(tmp_path / "mat/0_3.mat", ("dog", none, []), ("cat", box(0, 0, 4, 4), [("head", box(0, 0, 4, 4))]))
    for module in (annotated_objects, annotated_parts):
        unit = bench.unit(images=images)
        rows = rows_of(module, unit, bench.setup(), format="pascal_part", folder="mat")
        found = list(zip(rows["image_id"].tolist(), rows["object_id"].tolist(), rows["category_name"], strict=True))
        # The cat is of the image's own class, so it is number 0.
        assert found == [(0, 0, "dog"), (3, 0, "cat")]
        errors = {(e["subject"], e["reason"]): e["detail"] for e in unit.errors().to_arrow().to_pylist()}
        assert errors["0_1.png", "wrong_size"].endswith("have (height, width) (24, 32), but the image has (24, 31)")
        assert str(tmp_path / "mat/0_2.mat") in errors["0_2.png", "missing_file"]
        assert "object 1 (dog)" in errors["0_3.png", "empty_mask"]
        parts = {("0_0.png", "empty_mask")} if module is annotated_parts else set()
        assert (
            errors.keys() == {("0_1.png", "wrong_size"), ("0_2.png", "missing_file"), ("0_3.png", "empty_mask")} | parts
        )


def test_annotations_of_no_image_are_reported_once(file: Path, bench: Any) -> None:
    """The first block reports them, because they belong to no block."""
    text = file.read_text().replace('"image_id": 1', '"image_id": 77')
    file.write_text(text)
    for number, expected in ((0, ["truth.json, annotation 4"]), (1, [])):
        unit = bench.unit(number, images=bench.images(BLACK, unit=number))
        rows_of(annotated_parts, unit, bench.setup(files={"file": file}), file=str(file))
        assert [fault["subject"] for fault in unit.faults if fault["image_id"] == -1] == expected


def test_percentages_are_exact_seeded_and_nested() -> None:
    """Each split is rounded down but keeps one image; smaller choices are subsets; another seed chooses others."""
    images = [Listed(i, f"{i}.jpg", "val" if i % 4 == 0 else "train", "") for i in range(800)]
    chosen = {percent: labelled(images, percent, 0) for percent in (1, 5, 10, 20, 50, 100)}
    for percent, ids in chosen.items():
        assert len([i for i in ids if i % 4 == 0]) == 200 * percent // 100
        assert len([i for i in ids if i % 4]) == 600 * percent // 100
    sizes = sorted(chosen)
    assert all(chosen[few] < chosen[more] for few, more in pairwise(sizes))
    assert labelled(reversed(images), 10, 0) == chosen[10] != labelled(images, 10, 1)
    assert len(labelled(images[:3], 1, 0)) == 2
