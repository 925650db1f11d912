import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from stages.drawn.dataset import demo_images, write_dataset
from stages.drawn.draw import draw
from stages.drawn.drawings import DRAWINGS
from stages.drawn.shapes import CLASSES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    write_dataset(path, seed=7, num_train=12, num_val=6)
    return path


def test_files_are_in_the_imagenet_layout(folder: Path) -> None:
    """Keys name files that can be opened, and labels.txt has one line for each class folder."""
    for image in demo_images(12, 6):
        with Image.open(folder / image.key) as picture:
            assert picture.format == "JPEG" and picture.size == (96, 96) and picture.mode == "RGB"
    lines = (folder / "labels.txt").read_text().splitlines()
    assert lines == [f"{drawable.wnid},{drawable.name}" for drawable in CLASSES]
    assert {p.name for p in (folder / "train").iterdir()} == {drawable.wnid for drawable in CLASSES}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools under numpy 2
def test_annotations_decode_to_the_drawn_parts(folder: Path) -> None:
    """pycocotools decodes the masks to what was drawn, and categories are named as in PartImageNet."""
    truth = json.loads((folder / "annotations.json").read_text())
    categories = {category["id"]: category for category in truth["categories"]}
    for image in demo_images(12, 6):
        drawn = draw(7, image.index, image.wnid).parts
        annotations = [a for a in truth["annotations"] if a["image_id"] == image.index]
        assert len(annotations) == len(drawn)
        for annotation, (name, part, mask) in zip(annotations, drawn, strict=True):
            category = categories[annotation["category_id"]]
            assert category["name"] == f"{name} {part}".title() and category["supercategory"] == name
            assert np.array_equal(coco.decode(annotation["segmentation"]).astype(bool), mask)
            assert annotation["area"] == mask.sum()
    assert [i["file_name"] for i in truth["images"]] == [i.key for i in demo_images(12, 6)]


def test_a_complete_data_set_is_not_drawn_again(folder: Path, tmp_path: Path) -> None:
    """A second call changes no file; another folder gets the same bytes, and another seed draws other images."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    write_dataset(folder, seed=7, num_train=12, num_val=6)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    write_dataset(tmp_path, seed=7, num_train=12, num_val=6)
    for path in before:
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes()
    write_dataset(tmp_path, seed=8, num_train=12, num_val=6)
    assert (tmp_path / "annotations.json").read_bytes() != (folder / "annotations.json").read_bytes()


def test_another_drawing_has_its_own_classes(tmp_path: Path) -> None:
    """Folders, names and categories are those of the drawing; the ground truth says which one it is."""
    write_dataset(tmp_path, seed=7, num_train=6, num_val=6, drawing="textures")
    subjects, truth = DRAWINGS["textures"], json.loads((tmp_path / "annotations.json").read_text())
    assert truth["info"] == {"seed": 7, "num_train": 6, "num_val": 6, "drawing": "textures"}
    assert {c["supercategory"] for c in truth["categories"]} == {d.name for d in (*subjects.classes, subjects.person)}
    images = demo_images(6, 6, "textures")
    assert [i["file_name"] for i in truth["images"]] == [image.key for image in images]
    assert {image.class_name for image in images} == {drawable.name for drawable in subjects.classes}
    for image in images:
        with Image.open(tmp_path / image.key) as picture:
            assert picture.size == (96, 96)
