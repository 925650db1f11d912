import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from stages.drawn.dataset import demo_images, write_dataset
from stages.drawn.draw import draw
from stages.drawn.shapes import CLASSES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    write_dataset(path, seed=7, num_train=12, num_val=6)
    return path


def test_files_lie_in_imagenet_layout_with_a_line_for_each_class(folder: Path) -> None:
    """Keys name files that can be opened, and labels.txt names every class folder."""
    for image in demo_images(12, 6):
        with Image.open(folder / image.key) as picture:
            assert picture.format == "JPEG" and picture.size == (96, 96) and picture.mode == "RGB"
    lines = (folder / "labels.txt").read_text().splitlines()
    assert lines == [f"{thing.wnid},{thing.name}" for thing in CLASSES]
    assert {p.name for p in (folder / "train").iterdir()} == {thing.wnid for thing in CLASSES}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools under numpy 2
def test_annotations_decode_to_the_drawn_parts(folder: Path) -> None:
    """pycocotools reads the masks back as they were drawn, under PartImageNet-style categories."""
    truth = json.loads((folder / "annotations.json").read_text())
    categories = {category["id"]: category for category in truth["categories"]}
    for image in demo_images(12, 6):
        drawn = draw(7, image.index, image.wnid).parts
        found = [a for a in truth["annotations"] if a["image_id"] == image.index]
        assert len(found) == len(drawn)
        for annotation, (thing, part, mask) in zip(found, drawn, strict=True):
            category = categories[annotation["category_id"]]
            assert category["name"] == f"{thing} {part}".title() and category["supercategory"] == thing
            assert np.array_equal(coco.decode(annotation["segmentation"]).astype(bool), mask)
            assert annotation["area"] == mask.sum()
    assert [i["file_name"] for i in truth["images"]] == [i.key for i in demo_images(12, 6)]


def test_writing_again_changes_nothing_and_other_numbers_are_written_anew(folder: Path, tmp_path: Path) -> None:
    """A complete data set is left alone; a deleted annotations file or another seed draws it again, byte for byte."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    write_dataset(folder, seed=7, num_train=12, num_val=6)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    write_dataset(tmp_path, seed=7, num_train=12, num_val=6)
    for path in before:
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes()
    write_dataset(tmp_path, seed=8, num_train=12, num_val=6)
    assert (tmp_path / "annotations.json").read_bytes() != (folder / "annotations.json").read_bytes()
