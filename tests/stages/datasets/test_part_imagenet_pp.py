"""PartImageNet++ in its three published forms: what is listed, how it is divided, and what is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdstore import masks
from pdstore.errors import CorruptData, UsageError
from stages.datasets import part_imagenet_pp as module
from stages.datasets.part_imagenet_pp import reader, split_of
from stages.source.images import ImageFault
from tests.stages.datasets.published import (
    HEIGHT,
    PPP_PARTS,
    WIDTH,
    box,
    compressed,
    paco,
    photograph,
    polygon,
    write_class_file,
    write_label_map,
    write_paco,
    write_tables,
)

TENCH, BRAMBLING = PPP_PARTS
SQUARE, OTHER = [polygon(0, 0, 4, 4)], compressed(box(2, 2, 4, 4))
SPLITS = ("train", "val", "test")


def found(truth: Any) -> list[tuple[str, int, list[str]]]:
    areas = [int(masks.decode_one(thing.counts, HEIGHT, WIDTH).sum()) for thing in truth.objects]
    return [(t.name, area, [p.name for p in t.parts]) for t, area in zip(truth.objects, areas, strict=True)]


def test_a_file_per_class(tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """The object is the union of its parts; parts may overlap and occur twice; a table gives names."""
    write_class_file(tmp_path, TENCH, {"a.JPEG": [(1, SQUARE), (2, OTHER), (1, [polygon(20, 20, 2, 2)])], "b.JPEG": []})
    assert module.settings(tmp_path, ["val"]) == {"format": "part_imagenet_pp", "folder": "json", "file": []}
    assert module.classes(tmp_path, ["val"]) == [(TENCH, TENCH)]
    assert found(reader("json", []).read(f"train/{TENCH}/a.JPEG", load)) == [(TENCH, 32, ["head", "tail fin", "head"])]
    write_tables(tmp_path)
    names = tmp_path / "category_name.json"
    assert module.settings(tmp_path, ["val"])["file"] == ["{images}/category_name.json"]
    assert module.classes(tmp_path, ["val"]) == [(TENCH, "tench")]
    truth = reader("json", [names]).read(f"img/{TENCH}/a.JPEG", load)
    assert found(truth) == [("tench", 32, ["head", "tail fin", "head"])]
    assert truth is not None and truth.is_own_class and not truth.left_out
    assert reader("json", [names]).read(f"img/{TENCH}/z.JPEG", load) is None


def test_a_wrong_annotation_of_a_class_costs_only_itself(tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """A part that the class does not have and a bad mask are named; an annotation of no image comes with the first."""
    write_class_file(tmp_path, TENCH, {"a.JPEG": [(1, SQUARE), (9, SQUARE), (2, [[1]])], "b.JPEG": [(2, SQUARE)]})
    path = tmp_path / f"json/{TENCH}.json"
    content = json.loads(path.read_text())
    content["annotations"].append({"id": 7, "image_id": 99, "category_id": 1, "segmentation": SQUARE})
    path.write_text(json.dumps(content))
    first, second = (reader("json", []).read(f"img/{TENCH}/{name}.JPEG", load) for name in "ab")
    assert first is not None and second is not None
    assert found(first) == [(TENCH, 16, ["head"])] and found(second) == [(TENCH, 16, ["tail fin"])]
    assert [text.split(":")[0] for _, text in first.left_out] == [
        f"{TENCH}.json, annotation 1-1",
        f"{TENCH}.json, annotation 1-2",
        f"{TENCH}.json, annotation 7",
    ]
    assert second.left_out == ()


def test_a_damaged_file_costs_the_images_of_its_class(tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """Each is a row of errors, and a class without a file is missing; other classes are read."""
    write_class_file(tmp_path, BRAMBLING, {"a.JPEG": [(3, SQUARE)]})
    write_class_file(tmp_path, TENCH, {"a.JPEG": []}, {"images": [{"id": 1}]})
    for wnid, message in ((TENCH, rf"damaged: json/{TENCH}.json: .*file_name"), ("n00000001", r"missing_file")):
        with pytest.raises(ImageFault, match=message):
            reader("json", []).read(f"img/{wnid}/a.JPEG", load)
    (tmp_path / f"json/{TENCH}.json").write_text('{"images": [')
    with pytest.raises(ImageFault, match=rf"damaged: json/{TENCH}.json: expected JSON"):
        reader("json", []).read(f"img/{TENCH}/a.JPEG", load)
    assert found(reader("json", []).read(f"img/{BRAMBLING}/a.JPEG", load)) == [(BRAMBLING, 16, ["foot"])]


def test_a_file_that_lists_another_class_is_one_error(tmp_path: Path) -> None:
    """Otherwise its masks would not be found, because an image is looked up in the file of its own class."""
    write_class_file(tmp_path, TENCH, {}, {"images": [{"id": 1, "file_name": f"{BRAMBLING}/a.JPEG"}]})
    with pytest.raises(CorruptData, match=rf"the file of one class lists an image of another: {BRAMBLING}/a.JPEG"):
        list(module.images(tmp_path, "train"))


@pytest.mark.parametrize("place", ["img/", "", "images/", "train/", "ILSVRC/Data/CLS-LOC/train/"])
def test_the_images_are_found_where_imagenet_has_them(place: str, tmp_path: Path) -> None:
    """The form without splits lists every image once, under its place; one that is missing keeps its first place."""
    write_class_file(tmp_path, TENCH, {f"{TENCH}_{n}.JPEG": [(1, SQUARE)] for n in range(10)})
    for number in range(9):
        photograph(tmp_path / f"{place}{TENCH}/{TENCH}_{number}.JPEG")
    listed = [key for split in SPLITS for key, code in module.images(tmp_path, split) if code == TENCH]
    assert sorted(listed) == sorted(
        [*(f"{place}{TENCH}/{TENCH}_{n}.JPEG" for n in range(9)), f"img/{TENCH}/{TENCH}_9.JPEG"]
    )


def test_the_division_is_ours_and_fixed() -> None:
    """One in ten for val and test, at least one each of three; it depends on the names alone."""
    names = [f"n01440764_{n}.JPEG" for n in range(100)]
    splits = split_of(names)
    assert [list(splits.values()).count(split) for split in SPLITS] == [80, 10, 10]
    assert split_of(reversed(names)) == splits
    sizes = {n: [list(split_of(names[:n]).values()).count(split) for split in SPLITS] for n in (0, 1, 2, 3, 19)}
    assert sizes == {0: [0, 0, 0], 1: [1, 0, 0], 2: [1, 1, 0], 3: [1, 1, 1], 19: [17, 1, 1]}


def test_label_maps(tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """Photographs and maps are listed together; a map without photograph, and the other way round, are both there."""
    write_tables(tmp_path)
    for name in ("a", "b"):
        write_label_map(tmp_path / f"seg/{BRAMBLING}/{name}.png", (4, box(0, 0, 2, 2)))
    for name in ("b.JPEG", "c.JPEG"):
        photograph(tmp_path / f"img/{BRAMBLING}/{name}")
    listed = sorted(key for split in SPLITS for key, _ in module.images(tmp_path, split))
    assert listed == [f"img/{BRAMBLING}/{name}.JPEG" for name in "abc"]
    assert module.classes(tmp_path, SPLITS) == [(BRAMBLING, "brambling")]
    expected = {"format": "part_imagenet_pp", "folder": "seg"}
    files = ["{images}/classinfo_1k_pp.py", "{images}/category_name.json"]
    assert module.settings(tmp_path, SPLITS) == {**expected, "file": files}
    own = reader("seg", [Path(name.replace("{images}", str(tmp_path))) for name in files])
    assert found(own.read(f"img/{BRAMBLING}/b.JPEG", load)) == [("brambling", 4, ["wing"])]
    (tmp_path / "classinfo_1k_pp.py").unlink()
    with pytest.raises(UsageError, match=r"there is no table classinfo_1k_pp.py"):
        module.settings(tmp_path, SPLITS)


def test_label_maps_of_a_split(tmp_path: Path) -> None:
    """With folders train/img, train/seg, val/img, …, the folders are the splits."""
    write_tables(tmp_path)
    for split, names in (("train", "ab"), ("val", "c")):
        for name in names:
            photograph(tmp_path / f"{split}/img/{TENCH}/{name}.JPEG")
            write_label_map(tmp_path / f"{split}/seg/{TENCH}/{name}.png", (1, box(0, 0, 2, 2)))
    listed = {split: [key for key, _ in module.images(tmp_path, split)] for split in SPLITS}
    assert listed == {
        "train": [f"train/img/{TENCH}/{name}.JPEG" for name in "ab"],
        "val": [f"val/img/{TENCH}/c.JPEG"],
        "test": [],
    }


def test_files_of_splits(tmp_path: Path) -> None:
    """Files like those of PACO: an object has its own mask if there is one, and the most frequent name."""
    dog = [paco(1, 400, None, OTHER), paco(2, 2001, None, SQUARE)]
    write_paco(tmp_path / "annotations/Pin++_val.json", {f"{TENCH}/a.JPEG": dog, f"{BRAMBLING}/b.JPEG": []})
    write_paco(tmp_path / "annotations/Pin++_train.json", {f"{BRAMBLING}/c.JPEG": [paco(1, 2003, None, SQUARE)]})
    photograph(tmp_path / f"train/{TENCH}/a.JPEG")
    assert list(module.images(tmp_path, "val")) == [
        (f"train/{TENCH}/a.JPEG", TENCH),
        (f"img/{BRAMBLING}/b.JPEG", BRAMBLING),
    ]
    assert module.classes(tmp_path, ["val"]) == [(TENCH, "dog"), (BRAMBLING, BRAMBLING)]
    assert module.classes(tmp_path, ["val", "train"]) == [(TENCH, "dog"), (BRAMBLING, "trash can")]
    files = [f"{{images}}/annotations/Pin++_{split}.json" for split in ("val", "train")]
    assert module.settings(tmp_path, ["val", "train"]) == {"format": "part_imagenet_pp", "file": files}
    own = reader("", [Path(name.replace("{images}", str(tmp_path))) for name in files])
    assert found(own.read(f"train/{TENCH}/a.JPEG", lambda path: b"")) == [("dog", 16, ["head"])]
    assert found(own.read(f"img/{BRAMBLING}/c.JPEG", lambda path: b"")) == [("trash can", 16, ["lid"])]
    with pytest.raises(UsageError, match=r"there is no Pin\+\+_test.json or annotations/Pin\+\+_test.json here"):
        list(module.images(tmp_path, "test"))


def test_objects_of_two_classes_in_one_image_are_refused(tmp_path: Path) -> None:
    """An image has one class, so other people's parts must not get its name."""
    both = [paco(1, 2001, None, SQUARE), paco(2, 2003, None, SQUARE)]
    write_paco(tmp_path / "Pin++_val.json", {f"{TENCH}/a.JPEG": both})
    with pytest.raises(ImageFault, match=r"expected objects of the image's own class, found dog, trash can"):
        reader("", [tmp_path / "Pin++_val.json"]).read(f"{TENCH}/a.JPEG", lambda path: b"")


def test_a_folder_of_something_else_is_one_error(tmp_path: Path) -> None:
    """The error lists the three forms."""
    photograph(tmp_path / "holiday/a.jpg", HEIGHT, WIDTH)
    with pytest.raises(UsageError, match=r"there is no json/<wnid>.json, Pin\+\+_<split>.json or seg/<wnid>/"):
        list(module.images(tmp_path, "train"))
