from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdstore import masks
from schemas.tables import PARTS
from stages.nodes.imported import annotated_parts
from tests.stages.datasets.published import HEIGHT, WIDTH, box, polygon, write_coco
from tests.stages.nodes.cats import BLACK, rows_of, write_cats


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Annotations of two images of a cat."""
    return write_cats(tmp_path / "truth.json")


def test_parts_carry_their_names_and_their_share(file: Path, bench: Any) -> None:
    """Each part names its object and itself; object_ratio is its share of the object."""
    unit, setup = bench.unit(images=bench.images(BLACK)), bench.setup(files={"file": file})
    rows = rows_of(annotated_parts, unit, setup, file=str(file))
    assert rows["part_name"].tolist() == ["head", "tail", "head", "arm"]
    assert rows["object_id"].tolist() == [0, 0, 0, 1] and rows["part_id"].tolist() == [0, 1, 2, 0]
    assert rows["object_ratio"].tolist() == pytest.approx([30 / 50, 16 / 50, 12 / 50, 1.0])


def test_parts_of_one_name_are_merged_if_asked(file: Path, bench: Any) -> None:
    """The two heads of the cat are one, at the place of the first."""
    unit, setup = bench.unit(images=bench.images(BLACK)), bench.setup(files={"file": file})
    rows = rows_of(annotated_parts, unit, setup, file=str(file), merge_parts=True)
    assert rows["part_name"].tolist() == ["head", "tail", "arm"] and rows["area"].tolist() == [36, 16, 9]
    assert (masks.decode_one(rows.ragged("rle")[0], HEIGHT, WIDTH) == box(2, 4, 6, 6)).all()


def test_an_object_of_another_name_is_of_the_images_class_in_part_imagenet(tmp_path: Path, bench: Any) -> None:
    """The image's class is a breed, its parts are those of the super-category: so its images may be ImageNet's."""
    write_coco(tmp_path / "val.json", {"0_0.png": [(0, [polygon(0, 0, 4, 4)])]})
    unit, setup = (
        bench.unit(images=bench.images(BLACK, classes=[1])),
        bench.setup(files={"file": tmp_path / "val.json"}),
    )
    rows = rows_of(annotated_parts, unit, setup, format="part_imagenet", file="val.json")
    assert (rows["category_id"].tolist(), rows["category_name"].tolist()) == ([1], ["quadruped"])


def test_drawn_parts_have_no_features(file: Path, bench: Any) -> None:
    """The columns of computed parts are there, empty: no feature, and no share of changed pixels."""
    unit, setup = bench.unit(images=bench.images(BLACK)), bench.setup(files={"file": file})
    rows = rows_of(annotated_parts, unit, setup, file=str(file))
    assert rows["feature"].shape == (4, 0) and np.isnan(rows["changed"]).all()


def test_corrections_replace_what_was_found(file: Path, bench: Any) -> None:
    """With an input ``parts``, drawn parts have the number of the object that they lie on, and a feature."""
    square = {"height": HEIGHT, "width": WIDTH, "area": 64, "rle": masks.encode(box(0, 6, 8, 8)[None])[0]}
    named = {"part_id": 0, "category_id": 0, "category_name": "cat", "part_name": "", "score": 0.5}
    more = {"object_ratio": 1.0, "changed": 0.5, "feature": np.ones(3, np.float16)}
    layer = bench.put("crf", PARTS, [{"image_id": n, "object_id": 7, **named, **square, **more} for n in range(3)])
    images, setup = bench.images(BLACK, BLACK, BLACK), bench.setup(files={"file": file})
    rows = rows_of(annotated_parts, bench.unit(images=images, parts=layer), setup, file=str(file))
    assert rows["image_id"].tolist() == [0, 0, 0, 0, 1, 2] and rows["part_name"].tolist()[-1] == ""
    assert rows["object_id"].tolist() == [7, 7, 7, 8, 7, 7] and rows["feature"].shape == (6, 3)
    assert rows["feature"][:, 0].tolist() == [1, 1, 1, 0, 0, 1]
