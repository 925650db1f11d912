from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdstore import masks
from schemas.tables import OBJECTS
from stages.nodes.imported import annotated_objects
from tests.stages.datasets.published import HEIGHT, WIDTH, box
from tests.stages.nodes.cats import BLACK, rows_of, write_cats


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Annotations of two images of a cat."""
    return write_cats(tmp_path / "truth.json")


def test_objects_are_unions_with_the_images_own_class_first(file: Path, bench: Any) -> None:
    """An image's objects: its own class is number 0, an object outside the vocabulary has class -1."""
    unit, setup = bench.unit(images=bench.images(BLACK, BLACK)), bench.setup(files={"file": file})
    rows = rows_of(annotated_objects, unit, setup, file=str(file))
    assert rows["image_id"].tolist() == [0, 0, 1] and rows["object_id"].tolist() == [0, 1, 0]
    assert rows["category_name"].tolist() == ["cat", "person", "cat"] and rows["category_id"].tolist() == [0, -1, 0]
    whole = masks.decode_one(rows.ragged("rle")[0], HEIGHT, WIDTH)
    assert (whole == box(2, 4, 6, 6) | box(0, 9, 4, 4)).all()
    assert rows["area"].tolist() == [50, 9, 4] and unit.faults == []


def test_drawn_objects_have_the_highest_score(file: Path, bench: Any) -> None:
    """People are believed: the score is 1, and the size is that of the image."""
    unit, setup = bench.unit(images=bench.images(BLACK)), bench.setup(files={"file": file})
    rows = rows_of(annotated_objects, unit, setup, file=str(file))
    assert set(rows["score"].tolist()) == {1.0}
    assert set(rows["height"].tolist()) == {HEIGHT} and set(rows["width"].tolist()) == {WIDTH}


def test_corrections_replace_what_was_found(file: Path, bench: Any) -> None:
    """With an input ``objects``, every annotation is an object, and an image that no file lists keeps its objects."""
    square = {"height": HEIGHT, "width": WIDTH, "area": 16, "rle": masks.encode(box(0, 0, 4, 4)[None])[0]}
    named = {"object_id": 0, "category_id": 0, "category_name": "cat", "score": 0.5}
    layer = bench.put("detic", OBJECTS, [{"image_id": n, **named, **square} for n in range(3)])
    images = bench.images(BLACK, BLACK, BLACK)
    setup = bench.setup(files={"file": file})
    rows = rows_of(annotated_objects, bench.unit(images=images, objects=layer), setup, file=str(file))
    assert rows["image_id"].tolist() == [0, 0, 0, 0, 1, 2] and rows["score"].tolist() == [1, 1, 1, 1, 1, 0.5]
    assert rows["object_id"].tolist() == [0, 1, 2, 3, 0, 0]
