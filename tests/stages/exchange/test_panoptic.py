"""Checked by the rules that the evaluation of panopticapi enforces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stages.exchange.export import Request, export
from stages.exchange.panoptic import FOLDER, NAME
from tests.stages.exchange.conftest import SIZES, in_pixels


def numbers_of(path: Path) -> np.ndarray:
    """The segment numbers of a PNG file, as panopticapi's ``rgb2id`` computes them."""
    colours = np.asarray(Image.open(path)).astype(int)
    assert colours.ndim == 3 and colours.shape[2] == 3
    return colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]


def assert_valid(folder: Path) -> dict[str, Any]:
    """Each image has one annotation, each number one segment and each segment a pixel; areas and boxes agree."""
    content = json.loads((folder / NAME).read_text())
    categories = [category["id"] for category in content["categories"]]
    assert len(set(categories)) == len(categories) and all(c["isthing"] in (0, 1) for c in content["categories"])
    images = {image["id"]: image for image in content["images"]}
    assert sorted(images) == sorted(a["image_id"] for a in content["annotations"])
    for annotation in content["annotations"]:
        numbers, image = numbers_of(folder / FOLDER / annotation["file_name"]), images[annotation["image_id"]]
        assert numbers.shape == (image["height"], image["width"])
        segments = {segment["id"]: segment for segment in annotation["segments_info"]}
        assert len(segments) == len(annotation["segments_info"])
        assert set(segments) == set(np.unique(numbers).tolist()) - {0}
        for number, segment in segments.items():
            y, x = np.nonzero(numbers == number)
            assert segment["category_id"] in categories and segment["iscrowd"] == 0 and segment["area"] == len(y)
            assert segment["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
    return content


@pytest.mark.parametrize("node", ["the-objects", "the-parts", "the-proposals", "the-labels", "the-predictions"])
def test_the_folder_is_valid(masked, tmp_path: Path, node: str) -> None:
    """Every table becomes a folder that panopticapi accepts, in sizes of the images."""
    done = export(masked.store, Request("panoptic", node, tmp_path / "out"))
    content = assert_valid(tmp_path / "out")
    assert len(content["images"]) == done.images == 5
    segments = sum(len(a["segments_info"]) for a in content["annotations"])
    assert segments == done.annotations == 20 - done.left_out.get("hidden by masks with a better score", 0)
    assert json.loads((tmp_path / "out" / "export.json").read_text())["node"] == node


def test_a_pixel_belongs_to_the_mask_with_the_best_score(masked, tmp_path: Path) -> None:
    """And pixels of no mask to nothing; a number is that of the row, whatever else is chosen."""
    export(masked.store, Request("panoptic", "the-labels", tmp_path / "out", where="m.score > 0.2"))
    rows = masked.rows["the-labels"]
    stack, content = in_pixels(rows), assert_valid(tmp_path / "out")
    for annotation in content["annotations"]:
        expected = np.zeros(SIZES[annotation["image_id"]], int)
        for number, row in enumerate(np.flatnonzero(rows["image_id"] == annotation["image_id"])):
            if number > 0:  # scores rise from mask to mask, and the first is not chosen
                expected[stack[row]] = number + 1
        assert (numbers_of(tmp_path / "out" / FOLDER / annotation["file_name"]) == expected).all()


def test_an_export_is_replaced_whole(masked, tmp_path: Path) -> None:
    """With --overwrite, no file of the former export is left."""
    out = tmp_path / "out"
    export(masked.store, Request("panoptic", "the-labels", out))
    export(masked.store, Request("panoptic", "the-labels", out, where="i.split = 'val'", overwrite=True))
    assert len(list(out.rglob("*.png"))) == 2 and len(assert_valid(out)["images"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
