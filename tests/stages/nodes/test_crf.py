"""Grouping and CRF on hand-made objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pdstore import Rows, masks
from schemas.stages import CrfSettings, GroupingSettings
from schemas.tables import OBJECTS, PARTS
from stages.nodes import crf, grouping

SIZE = 32


def thing(image_id: int, mask: np.ndarray, object_id: int = 0) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "object_id": object_id,
        "category_id": 0,
        "category_name": "cat",
        "score": 0.5,
        "area": int(mask.sum()),
        "height": mask.shape[0],
        "width": mask.shape[1],
        "rle": masks.encode(mask[None])[0],
    }


def part(image_id: int, mask: np.ndarray, part_id: int) -> dict[str, Any]:
    extra = {"part_id": part_id, "part_name": "", "object_ratio": 0.5, "changed": np.nan}
    extra["feature"] = np.full(3, part_id, np.float16)
    return thing(image_id, mask) | extra


def decoded(rows: Rows) -> np.ndarray:
    return masks.decode(rows.ragged("rle"), SIZE, SIZE)


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    """(image, mask): an object of a red left half and a blue right half on grey."""
    image = np.full((SIZE, SIZE, 3), 120, np.uint8)
    mask = np.zeros((SIZE, SIZE), bool)
    mask[8:24, 4:28] = True
    image[8:24, 4:16], image[8:24, 16:28] = (220, 20, 20), (20, 20, 220)
    return image, mask


def test_grouping_divides_an_object(bench, scene: tuple[np.ndarray, np.ndarray]) -> None:
    """The parts divide the object's pixels among them; with two colours and k=2 they are its halves."""
    image, mask = scene
    images, objects = bench.images(image), bench.put("objects", OBJECTS, [thing(0, mask), thing(0, mask, 1)])
    settings = GroupingSettings(backend="pixels", k=2, metric="l2", stride=2)
    rows = grouping.start(settings, bench.setup())(bench.unit(images=images, objects=objects)).rows
    assert rows["object_id"].tolist() == [0, 0] and rows["part_id"].tolist() == [0, 1]
    stack = decoded(rows)
    assert (stack.sum(0) == mask).all()
    left = stack[int(stack[1, 16, 6])]
    assert left[8:24, 4:14].mean() > 0.95 and left[8:24, 18:28].mean() < 0.05
    assert rows["object_ratio"].sum() == pytest.approx(1)
    assert np.isfinite(rows["feature"]).all() and np.isnan(rows["changed"]).all()


def test_an_object_of_too_few_points_is_an_error_row(bench, scene: tuple[np.ndarray, np.ndarray]) -> None:
    """Fewer feature cells than k: reason ``too_few_points``, and the block's other objects are grouped."""
    image, mask = scene
    speck = np.zeros((SIZE, SIZE), bool)
    speck[:3, :3] = True
    images = bench.images(image, image)
    objects = bench.put("objects", OBJECTS, [thing(0, speck), thing(1, mask)])
    unit = bench.unit(images=images, objects=objects)
    rows = grouping.start(GroupingSettings(backend="pixels", k=4), bench.setup())(unit).rows
    assert set(rows["image_id"].tolist()) == {1}
    assert [(f["image_id"], f["subject"], f["reason"]) for f in unit.faults] == [(0, "0_0.png", "too_few_points")]
    assert "at least 4 distinct points" in unit.faults[0]["detail"]


def test_a_picture_that_is_gone_is_an_error_row(bench, scene: tuple[np.ndarray, np.ndarray]) -> None:
    """A file that vanished after ingest costs only its image."""
    image, mask = scene
    images = bench.images(image, image)
    objects = bench.put("objects", OBJECTS, [thing(0, mask), thing(1, mask)])
    (bench.folder / "0_0.png").unlink()
    unit = bench.unit(images=images, objects=objects)
    rows = grouping.start(GroupingSettings(backend="pixels", k=2), bench.setup())(unit).rows
    assert set(rows["image_id"].tolist()) == {1}
    assert [f["reason"] for f in unit.faults] == ["missing_file"]


def test_crf_moves_borders_to_the_edges(bench, scene: tuple[np.ndarray, np.ndarray]) -> None:
    """Parts whose border is off by a few pixels follow the colours; number and feature stay with each part.

    ``changed`` is the share of its pixels that were another part's, or nobody's.
    """
    image, mask = scene
    left, right = mask.copy(), mask.copy()
    left[:, 19:], right[:, :19] = False, False
    images = bench.images(image)
    parts = bench.put("parts", PARTS, [part(0, left, 0), part(0, right, 3)])
    settings = CrfSettings(gt_prob=0.6, gaussian_sxy=1, bilateral_sxy=10, bilateral_srgb=20, long_side=0)
    rows = crf.start(settings, bench.setup())(bench.unit(images=images, parts=parts)).rows
    assert rows["part_id"].tolist() == [0, 3] and rows["feature"][:, 0].tolist() == [0, 3]
    stack = decoded(rows)
    assert not (stack[0] & stack[1]).any()
    assert stack[0][8:24, 16:19].mean() < 0.1 < 0.9 < stack[1][8:24, 16:19].mean()
    assert rows["area"].tolist() == stack.sum((1, 2)).tolist()
    gained = (stack & ~np.stack([left, right])).sum((1, 2))
    assert gained[1] > 20 and rows["changed"].tolist() == pytest.approx((gained / stack.sum((1, 2))).tolist())


def test_a_part_that_loses_all_pixels_is_gone(bench, scene: tuple[np.ndarray, np.ndarray]) -> None:
    """A speck on a uniform ground is smoothed away; each part that is left is still one row."""
    image, mask = scene
    speck = np.zeros_like(mask)
    speck[30, 30] = True
    images, parts = bench.images(image), bench.put("parts", PARTS, [part(0, mask, 0), part(0, speck, 1)])
    rows = crf.start(CrfSettings(long_side=0), bench.setup())(bench.unit(images=images, parts=parts)).rows
    assert rows["part_id"].tolist() == [0]


def test_a_block_without_objects_gives_no_rows(bench) -> None:
    """Nothing in, nothing out: an empty block is a block."""
    images = bench.images(np.zeros((SIZE, SIZE, 3), np.uint8))
    objects, parts = bench.put("objects", OBJECTS, []), bench.put("parts", PARTS, [])
    unit = bench.unit(images=images, objects=objects, parts=parts)
    assert len(grouping.start(GroupingSettings(backend="pixels"), bench.setup())(unit).rows) == 0
    assert len(crf.start(CrfSettings(), bench.setup())(unit).rows) == 0
    assert unit.faults == []


def test_a_true_object_in_original_pixels_is_grouped_in_its_frame(bench, scene: tuple[np.ndarray, np.ndarray]) -> None:
    """Parts are in a frame of at most 640 pixels, and the CRF reads the picture in the frame of its parts."""
    image, mask = (np.repeat(np.repeat(array, 30, 0), 30, 1) for array in scene)
    images, objects = bench.images(image), bench.put("objects", OBJECTS, [thing(0, mask)])
    unit = bench.unit(images=images, objects=objects)
    rows = grouping.start(GroupingSettings(backend="pixels", k=2, metric="l2"), bench.setup())(unit).rows
    assert set(rows["height"].tolist()) == set(rows["width"].tolist()) == {640}
    parts = bench.put("parts", PARTS, [{name: values[n] for name, values in columns(rows)} for n in range(len(rows))])
    smoothed = crf.start(CrfSettings(), bench.setup())(bench.unit(images=images, parts=parts)).rows
    frame = masks.resize_nearest(mask, 640, 640)
    stack = masks.decode(smoothed.ragged("rle"), 640, 640)
    assert (stack.any(0) == frame).mean() > 0.99 and smoothed["part_id"].tolist() == [0, 1]


def columns(rows: Rows) -> list[tuple[str, Any]]:
    return [(c.name, list(rows.ragged("rle")) if c.name == "rle" else rows[c.name]) for c in rows.table.columns]
