from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.datasets.annotated import labelled
from stages.nodes.imported import annotated_objects, annotated_parts
from stages.source.listing import Listed
from tests.stages.datasets.published import HEIGHT, WIDTH, box, write_mat
from tests.stages.nodes.cats import BLACK, rows_of, write_cats


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Annotations of two images of a cat."""
    return write_cats(tmp_path / "truth.json")


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
