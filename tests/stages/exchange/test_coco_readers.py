"""Other programs' libraries read our COCO with equal masks. Each is tested where it is installed."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.exchange.export import Request, export
from stages.exchange.panoptic import FOLDER, NAME
from tests.stages.exchange.conftest import SIZES, in_pixels

pytestmark = pytest.mark.filterwarnings("ignore")  # what they warn of is theirs


@pytest.fixture
def images(masked, tmp_path: Path) -> Path:
    """A folder with the images of the store."""
    (tmp_path / "images").mkdir()
    for number, size in enumerate(SIZES):
        Image.new("RGB", size[::-1]).save(tmp_path / "images" / f"{number // 4}_{number % 4}.png")
    return tmp_path / "images"


def exported(masked, tmp_path: Path, **options: bool) -> Path:
    """The labels as ``annotations/instances_train.json``, where datumaro looks for them."""
    (tmp_path / "annotations").mkdir()
    out = tmp_path / "annotations" / "instances_train.json"
    export(masked.store, Request("coco", "the-labels", out, options=options))
    return out


@pytest.mark.parametrize("options", [{}, {"polygons": True}], ids=["rle", "polygons"])
def test_faster_coco_eval(masked, tmp_path: Path, options: dict[str, bool]) -> None:
    """It reads equal masks, and scores them against themselves with 1."""
    library = pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    out, stack = exported(masked, tmp_path, **options), in_pixels(masked.rows["the-labels"])
    with contextlib.redirect_stdout(io.StringIO()):
        read = library.COCO(str(out))
        annotations = read.dataset["annotations"]
        assert all((read.annToMask(a) == mask).all() for a, mask in zip(annotations, stack, strict=True))
        names = ("image_id", "category_id", "segmentation", "bbox", "score")
        found = read.loadRes([{name: a[name] for name in names} for a in annotations])
        scored = library.COCOeval_faster(read, found, "segm")
        for step in (scored.evaluate, scored.accumulate, scored.summarize):
            step()
    assert scored.stats[0] == pytest.approx(1)


def test_supervision(masked, images: Path, tmp_path: Path) -> None:
    """``DetectionDataset.from_coco`` has equal masks and the names of the categories."""
    library = pytest.importorskip("supervision", reason="supervision is not installed")
    out, rows = exported(masked, tmp_path), masked.rows["the-labels"]
    read = library.DetectionDataset.from_coco(str(images), str(out), force_masks=True)
    found = {Path(path).name: detections for path, _, detections in read}
    assert len(found) == 5 and "dog (n00000002) 3" in read.classes
    for row, mask in enumerate(in_pixels(rows)):
        image_id = int(rows["image_id"][row])
        masks_of_image = found[f"{image_id // 4}_{image_id % 4}.png"].mask
        assert any((np.asarray(other) == mask).all() for other in masks_of_image)


def test_datumaro(masked, images: Path, tmp_path: Path) -> None:
    """Instances have equal masks; of panoptic, every segment is read."""
    library = pytest.importorskip("datumaro.components.dataset", reason="datumaro is not installed")
    exported(masked, tmp_path)
    stack = in_pixels(masked.rows["the-labels"])
    read = [a for item in library.Dataset.import_from(str(tmp_path), "coco_instances") for a in item.annotations]
    found = [np.asarray(a.image, bool) for a in read if type(a).__name__ == "RleMask"]
    assert len(found) == len(stack) and all(any(np.array_equal(m, o) for o in found) for m in stack)
    done = export(masked.store, Request("panoptic", "the-labels", tmp_path / "out"))
    root = tmp_path / "panoptic" / "annotations"
    root.mkdir(parents=True)
    (tmp_path / "out" / NAME).rename(root / "panoptic_train.json")
    (tmp_path / "out" / FOLDER).rename(root / "panoptic_train")
    images.rename(root.parent / "images")
    segments = library.Dataset.import_from(str(root.parent), "coco_panoptic")
    assert sum(len(item.annotations) for item in segments) == done.annotations
