"""Annotation files that people made with other tools, seen from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Pd, Result
from tests.stages.datasets.published import HEIGHT, WIDTH, photograph, polygon

SQUARE = [polygon(0, 0, 6, 6)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("cat/a.png", "cat/b.png"):
        photograph(tmp_path / "in" / name)
    return tmp_path / "in"


def run(pd: Pd, root: Path, *annotations: dict[str, Any], **changes: Any) -> Result:
    """Make a store of the folder with these annotations, and run it."""
    names = changes.pop("names", ("cat/a.png", "cat/b.png"))
    listed = [{"image_id": 0, "category_id": 1, "segmentation": SQUARE, **one} for one in annotations]
    content = {
        "images": [{"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "Cat_Head", "supercategory": "none"}],
        "annotations": [{"id": i, **one} for i, one in enumerate(listed)],
    }
    (root / "annotations.json").write_text(json.dumps({**content, **changes}))
    store = root.parent / "st"
    assert pd("init", store, "--images", root, "--preset", "ground_truth").code == 0
    return pd("--store", store, "run")


def rows(pd: Pd, root: Path, query: str) -> list[list[Any]]:
    listed = json.loads(pd("--store", root.parent / "st", "sql", query, "--format", "json").out)
    return [list(row.values()) for row in listed]


def test_parts_without_pixels_cost_no_image(pd: Pd, root: Path) -> None:
    """One in each image, which is more than --max-error-rate of the images; both images keep their other part."""
    empty = [[3, 3, 4, 4]]
    result = run(pd, root, {}, {"image_id": 1}, {"segmentation": empty}, {"image_id": 1, "segmentation": empty})
    assert result.code == 0
    assert "truth-parts: 2 images listed, 2 of them in the store, 2 annotations used\n" in result.err
    assert "truth-parts: 2 parts left out, with the reason in the table errors" in result.err
    assert rows(pd, root, "SELECT category_name, part_name, category_id FROM parts") == [["cat", "head", 0]] * 2


def test_crowds_are_rows_of_errors(pd: Pd, root: Path) -> None:
    """They are no part and no object of their image, which keeps the others."""
    result = run(pd, root, {}, {"iscrowd": 1, "segmentation": [polygon(0, 0, 20, 20)]})
    assert result.code == 0 and "truth-objects: 1 annotations left out" in result.err
    assert rows(pd, root, "SELECT area FROM objects") == [[36]]
    assert rows(pd, root, "SELECT subject, reason FROM errors WHERE node = 'truth-parts'") == [["cat/a.png", "crowd"]]


def test_other_spellings_and_unclear_names(pd: Pd, root: Path) -> None:
    """A Windows path is found; a bare name that fits two images is a row of errors, and nobody gets its masks."""
    photograph(root / "dog/b.png")
    result = run(pd, root, {}, {"image_id": 1}, names=("C:\\x\\cat\\a.PNG", "b.png"))
    assert result.code == 0
    assert "truth-parts: 2 images listed, 1 of them in the store, 1 annotations used\n" in result.err
    assert "truth-parts: 1 unclear file names left out" in result.err
    assert rows(pd, root, "SELECT key FROM parts JOIN images USING (image_id)") == [["cat/a.png"]]
    found = rows(pd, root, "SELECT subject, reason, detail FROM errors WHERE node = 'truth-parts'")
    assert found == [["b.png", "unclear_name", "it fits several images: cat/b.png, dog/b.png"]]


def test_a_part_without_an_object_is_of_the_images_class(pd: Pd, root: Path) -> None:
    """A category of one word whose super-category says nothing; with the parts that name the class it is one object."""
    names = {1: ("cat_head", "none"), 2: ("Tail", "root"), 3: ("Dog Tail", "parts")}
    categories = [{"id": i, "name": name, "supercategory": owner} for i, (name, owner) in names.items()]
    assert run(pd, root, *({"category_id": i} for i in names), categories=categories).code == 0
    found = rows(pd, root, "SELECT object_id, category_id, category_name, part_name FROM parts ORDER BY ALL")
    assert found == [[0, 0, "cat", "head"], [0, 0, "cat", "tail"], [1, -1, "dog", "tail"]]
    assert rows(pd, root, "SELECT object_id, category_name, area FROM objects ORDER BY ALL") == [
        [0, "cat", 36],
        [1, "dog", 36],
    ]


def test_a_file_of_other_images_fails(pd: Pd, root: Path) -> None:
    """The error has a sample of both spellings; so has one whose annotations have ids of another type."""
    result = run(pd, root, {}, names=("bird/x.png",))
    assert result.code == 1 and "none of the 1 images that the file lists is in the store" in result.err
    assert "'bird/x.png'" in result.err and "'cat/" in result.err


def test_a_few_strays_are_reported_and_many_fail(pd: Pd, root: Path) -> None:
    """They are measured against the annotations of the file."""
    result = run(pd, root, {}, {"image_id": 7}, {"image_id": 8})
    assert result.code == 1 and "2 of 3 annotations belong to no image that their file lists" in result.err
    result = pd("--store", root.parent / "st", "run", "--max-error-rate", "0.7")
    assert result.code == 0 and "truth-parts: 2 annotations left out" in result.err
