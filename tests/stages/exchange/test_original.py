from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from pdstore import Ragged, Rows, Store
from pdstore.errors import UsageError
from pdstore.files import Files
from schemas.stages import OriginalSettings
from stages.datasets.original_grid import grid_of
from stages.exchange.export import Request, export
from stages.exchange.imports import ImportRequest
from stages.exchange.original_import import add
from stages.nodes.original import labels, objects, parts
from stages.plan.project import Project
from stages.source.listing import Listing
from stages.unit import Setup, Unit
from tests.stages.exchange.conftest import SIZES, Masked, in_pixels

_OF_ITS_CLASS = "m.category_id = i.class_id"
_NAMED = {"file_name", "file_path", "class_code", "class_name", "height", "width"}
_KEYS = {
    "objects": _NAMED | {"object_masks", "object_boxes", "object_scores", "pred_names"},
    "parts": _NAMED | {"part_mask", "object_ratio", "class_index"},
    "labels": (_NAMED - {"file_path", "class_name"})
    | {"image_id", "part_masks", "part_labels", "object_ratio", "part_ratios", "object_class_label", "part_scores"},
}


def exported(store: Store, node: str, out: Path, where: str = "true", **options: Any) -> dict[str, dict[str, Any]]:
    """The files of an export: folder of the class and name -> content, as the original loads it."""
    export(store, Request("original", node, out, where, options=options))
    (tree,) = (path for path in out.iterdir() if path.is_dir())
    return {f"{p.parent.name}/{p.name}": torch.load(p, weights_only=False) for p in sorted(tree.glob("*/*"))}


def decoded(masks: list[dict[str, Any]]) -> np.ndarray:
    """(N, H, W) bool."""
    return np.array([coco.decode(mask["segmentation"]) for mask in masks], bool)


@pytest.mark.parametrize("table", ["objects", "parts", "labels"])
def test_a_file_has_the_keys_and_types_of_the_original(table: str, masked: Masked, tmp_path: Path) -> None:
    """And one more key, which its code does not read; a file has the name of its image, in the folder of its class."""
    where = _OF_ITS_CLASS if table == "labels" else "true"
    found = exported(masked.store, f"the-{table}", tmp_path / "out", where, image_root="datasets/imagenet_1k")
    assert all(name.startswith("n00000001/") and name.endswith(".png") for name in found)
    assert len(found) == (1 if table == "labels" else 5)
    content = found["n00000001/0_0.png"]
    assert content.keys() == _KEYS[table] | {"pdstore"}
    types = {"object_boxes": torch.float32, "object_scores": torch.float32, "part_labels": torch.int64}
    types |= {"part_ratios": torch.float32}
    assert all(content[name].dtype == dtype for name, dtype in types.items() if name in content)
    assert type(content.get("object_ratio", 0.0)) is float and (content["height"], content["width"]) == SIDES[table]
    path = content["file_path"] if table != "labels" else content["file_name"]
    assert path == "datasets/imagenet_1k/0_0.png" and content["class_code"] == "n00000001"
    if table == "labels":
        assert type(content["part_scores"]) is np.ndarray and content["part_scores"].dtype == np.float32
        assert content["image_id"] == "0_0.png"


SIDES = {"objects": (480, 640), "parts": (480, 640), "labels": (640, 640)}
"""Table -> (height, width) of the masks of an image of 24 x 32 pixels: those of labels are padded to a square."""


def test_masks_are_in_the_grid_of_the_original(masked: Masked, tmp_path: Path) -> None:
    """Each pixel of the image is a block of pixels of the grid; boxes are corners, areas are shares of the grid."""
    found = exported(masked.store, "the-objects", tmp_path / "out")
    pixels, rows = in_pixels(masked.rows["the-objects"]), masked.rows["the-objects"]
    for number, size in enumerate(SIZES):
        name = f"n00000001/{number // 4}_{number % 4}.png"
        assert (name in found) == (number in rows["image_id"])
        if name not in found or number == 1:
            continue
        stack = decoded(found[name]["object_masks"])
        grid = grid_of(size)
        y, x = np.arange(grid[0]) * size[0] // grid[0], np.arange(grid[1]) * size[1] // grid[1]
        expected = np.array([pixels[n][y[:, None], x] for n in np.flatnonzero(rows["image_id"] == number)])
        assert stack.shape == expected.shape and (stack != expected).mean() < 0.01
        boxes = found[name]["object_boxes"].numpy()
        for mask, (x0, y0, x1, y1) in zip(stack, boxes.tolist(), strict=True):
            ys, xs = np.nonzero(mask)
            assert (x0, y0, x1, y1) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_predictions_have_their_share_of_the_object(masked: Masked, tmp_path: Path) -> None:
    """The final model's files have part_area_ratios in place of part_ratios; shares of one image add up to 1."""
    found = exported(masked.store, "the-predictions", tmp_path / "out", _OF_ITS_CLASS)
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["part_distillation_predictions"]
    for content in found.values():
        assert content["part_area_ratios"].sum().item() == pytest.approx(1) and "part_ratios" not in content


def test_labels_of_another_class_are_left_out_and_counted(masked: Masked, tmp_path: Path) -> None:
    """The original takes every cluster for one of the image's class."""
    done = export(masked.store, Request("original", "the-labels", tmp_path / "out"))
    others = (masked.rows["the-labels"]["category_id"] != 0).sum()
    assert done.left_out["cluster of another class than the image's"] == others > 0
    assert done.annotations == len(masked.rows["the-labels"]) - others
    assert [path.name for path in (tmp_path / "out").glob("*/*/*")] == ["0_0.png"]


def test_images_with_one_name_are_refused(own: Masked, tmp_path: Path) -> None:
    """A file of one image never replaces that of another: two splits may have the same names."""
    images = own.layer("images")
    rows = images.read(1)
    keys = ["val/0_0.png", "val/1_1.png"]
    images.withdraw(1)
    images.commit(1, Rows(rows.table, {**rows.columns, "key": np.array(keys, object)}))
    with pytest.raises(UsageError, match=r"n00000001/0_0.png: two images .* same file name.*i\.split = 'train'"):
        exported(own.store, "the-objects", tmp_path / "out")
    assert len(exported(own.store, "the-objects", tmp_path / "out", "i.split = 'val'")) == 2


def test_images_without_a_class_are_left_out_and_counted(own: Masked, tmp_path: Path) -> None:
    """A tree has a folder per class."""
    images = own.layer("images")
    rows = images.read(1)
    images.withdraw(1)
    images.commit(1, Rows(rows.table, {**rows.columns, "wnid": np.array(["", ""], object)}))
    done = export(own.store, Request("original", "the-objects", tmp_path / "out"))
    assert done.left_out["mask of an image without a class"] == 8
    assert len(list((tmp_path / "out").glob("*/*/*.png"))) == 3


def test_the_record_says_what_made_the_tree(masked: Masked, tmp_path: Path) -> None:
    """It lies beside the tree, because the original takes every name in the tree for a class."""
    exported(masked.store, "the-parts", tmp_path / "out", long_side=320)
    assert json.loads((tmp_path / "out/export.json").read_text())["node"] == "the-parts"
    assert {path.name for path in (tmp_path / "out/proposal_generation").iterdir()} == {"n00000001"}


def equal(a: Rows, b: Rows) -> bool:
    """Whether two columns-by-column copies are the same to the byte."""
    columns = ((a.columns[name], b.columns[name]) for name in a.columns)
    same = (x == y if isinstance(x, Ragged) else np.array_equal(x, y, x.dtype.kind == "f") for x, y in columns)
    return len(a) == len(b) and all(same)


STAGES = {"objects": objects, "parts": parts, "labels": labels}


@pytest.mark.parametrize("table", STAGES)
def test_rows_come_back_from_the_tree_as_they_were(table: str, masked: Masked, tmp_path: Path) -> None:
    """Every column and every mask of each image whose masks have the image's frame, which is never larger."""
    is_label = table == "labels"
    where = f"m.image_id <> 1 AND {_OF_ITS_CLASS if is_label else True}"
    exported(masked.store, f"the-{table}", tmp_path / "out", where)
    listed, classes = list(Listing(masked.store).all()), Listing(masked.store).classes()
    tree = next(path for path in (tmp_path / "out").iterdir() if path.is_dir())
    start = STAGES[table].start(OriginalSettings(folder=str(tree)), Setup(classes, {}, {}, listed=lambda: iter(listed)))
    images, found = masked.layer("images"), []
    for number in images.units():
        unit = Unit("node", number, Files(str(tmp_path)), {"images": [images]})
        found.append(start(unit).rows)
        assert {fault["reason"] for fault in unit.faults} <= {"no_annotation"}
    before, after = masked.rows[f"the-{table}"], Rows.concat(masked.rows[f"the-{table}"].table, found)
    before = before.take((before["image_id"] != 1) & ((before["category_id"] == 0) | (not is_label)))
    assert len(before) > 2 and equal(before, after)


@pytest.mark.slow
def test_nodes_of_the_original_take_the_place_of_ours(
    grouped: Store, run_all: Callable[..., None], tmp_path: Path
) -> None:
    """Objects, segments before and after the CRF, and labels: rows of a second store are those of the first."""
    run_all(grouped)
    shutil.copytree(grouped.url, tmp_path / "other")
    other = Store(str(tmp_path / "other"))
    trees = {"detic": "detic_predictions", "grouping": "proposal_generation", "crf": "processed_proposals"}
    for node, tree in {**trees, "labels": "part_masks_with_class"}.items():
        exported(grouped, node, tmp_path / node, _OF_ITS_CLASS)
        name = f"our-{node}"
        project = add(Project.open(other), ImportRequest(tmp_path / node, name))
        project.record(is_consent=True)
        assert project[name].settings.folder == str(tmp_path / node / tree)
        run_all(other, [name])
        project = Project.open(other)
        before, after = project.shown(node), project.layer(name)
        assert after.units() == before.units() and sum(len(after.read(unit)) for unit in after.units()) > 8
        assert all(equal(before.read(unit), after.read(unit)) for unit in after.units())
