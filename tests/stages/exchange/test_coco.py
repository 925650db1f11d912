from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from pdstore.errors import UsageError
from stages.exchange import coco
from stages.exchange.export import Request, export
from tests.stages.exchange.conftest import in_pixels

NODES = ["the-objects", "the-parts", "the-proposals", "the-labels", "the-predictions"]


def exported(masked, tmp_path: Path, node: str, **request) -> COCO:
    out = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
    export(masked.store, Request("coco", node, out, **request))
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(out))


@pytest.mark.parametrize("node", NODES)
def test_pycocotools_reads_equal_masks(masked, tmp_path: Path, node: str) -> None:
    """Every row is an annotation of its image: with its mask in pixels of the image, its box, area and score."""
    read, rows = exported(masked, tmp_path, node), masked.rows[node]
    annotations = read.dataset["annotations"]
    assert [a["image_id"] for a in annotations] == rows["image_id"].tolist()
    assert [a["score"] for a in annotations] == pytest.approx(rows["score"].tolist(), abs=1e-6)
    for annotation, mask in zip(annotations, in_pixels(rows), strict=True):
        y, x = np.nonzero(mask)
        assert np.array_equal(read.annToMask(annotation), mask)
        assert annotation["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        assert annotation["area"] == mask.sum() and annotation["iscrowd"] == 0
        assert (annotation["node"], annotation["layer"]) == (node, masked.layer(node).fingerprint)
    image = read.loadImgs([1])[0]
    assert (image["file_name"], image["height"], image["width"]) == ("0_1.png", 40, 30)


@pytest.mark.parametrize("node", NODES)
def test_polygons_are_drawn_as_the_same_masks(masked, tmp_path: Path, node: str) -> None:
    """Holes and all: what pycocotools draws from the polygons is the mask, pixel for pixel."""
    read, rows = exported(masked, tmp_path, node, options={"polygons": True}), masked.rows[node]
    for annotation, mask in zip(read.dataset["annotations"], in_pixels(rows), strict=True):
        assert isinstance(annotation["segmentation"], list) and annotation["area"] == mask.sum()
        assert np.array_equal(read.annToMask(annotation), mask)


def test_categories_have_their_object_class(masked, tmp_path: Path) -> None:
    """The name is that of the part or cluster, the super-category the object class; ids are counted from 1."""
    read = exported(masked, tmp_path, "the-labels")
    categories = read.dataset["categories"]
    assert [c["id"] for c in categories] == list(range(1, 8))
    cat = {"id": 2, "name": "cat 4", "supercategory": "cat", "class_id": 0, "wnid": "n00000001", "cluster": 4}
    assert categories[1] == cat
    clusters = masked.rows["the-labels"]["cluster"].tolist()
    by_id = {c["id"]: c["cluster"] for c in categories}
    assert [by_id[a["category_id"]] for a in read.dataset["annotations"]] == clusters


def test_ids_do_not_depend_on_what_is_chosen(masked, tmp_path: Path) -> None:
    """The same row, image and class has the same id in every export of the node, and no two rows share one."""
    whole, some = exported(masked, tmp_path, "the-labels"), exported(masked, tmp_path, "the-labels", where="m.score>.4")
    assert 0 < len(some.anns) < len(whole.anns) == len(whole.dataset["annotations"])
    assert some.cats == whole.cats
    assert all(whole.anns[number] == annotation for number, annotation in some.anns.items())
    assert min(whole.anns) > 0 and some.imgs.items() <= whole.imgs.items()


def test_the_file_says_what_made_it(masked, tmp_path: Path) -> None:
    """``info`` names node, layer, condition and program; no annotation at all is a valid file, too."""
    read = exported(masked, tmp_path, "the-labels", where="m.score > 2")
    assert read.dataset["annotations"] == read.dataset["images"] == []
    info = read.dataset["info"]
    assert (info["node"], info["where"], info["table"]) == ("the-labels", "m.score > 2", "labels")
    assert info["layer"] == masked.layer("the-labels").fingerprint


def test_more_masks_than_there_are_ids_is_an_error(masked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of two images never meet: an image with too many masks is named."""
    monkeypatch.setattr(coco, "ROWS_PER_IMAGE", 3)
    with pytest.raises(UsageError, match="0_0.png: the image has more than 3 masks"):
        exported(masked, tmp_path, "the-labels")


def test_names_are_kept_as_they_are(masked, tmp_path: Path) -> None:
    """The file is UTF-8: a key with other letters is not escaped away from ``grep``."""
    out = tmp_path / "out.json"
    export(masked.store, Request("coco", "the-parts", out, where="m.part_name <> 'Ohr-ä'"))
    assert "Ohr-ä" in out.read_text(encoding="utf-8") and json.loads(out.read_bytes())
