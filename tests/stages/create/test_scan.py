from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import Store
from pdstore.errors import StorageFailure, UsageError
from schemas.pipeline import SourceSpec
from stages.create.scan import scan, scan_classes
from stages.source.listing import Listing
from tests.stages.datasets.published import photograph, polygon, write_coco


def test_the_order_is_random_but_seeded(folder: Path) -> None:
    """The same seed gives the same order, another seed gives another; classes are mixed."""
    source = SourceSpec(root=str(folder))
    first, again, reseeded = scan(source, set(), 0), scan(source, set(), 0), scan(source, set(), 1)
    assert first == again != reseeded and sorted(first) == sorted(reseeded)
    assert all(len({wnid for _, _, wnid in first[i : i + 6]}) == 2 for i in (0, 6))


def test_a_folder_is_walked_only_once(
    folder: Path, classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images that were checked are the images that are listed: walking over millions of files takes hours."""
    walked, real = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: walked.append(Path(path)) or real(path))
    assert Listing(classical()).images == 12
    assert [walked.count(path) for path in (folder, folder / "cats", folder / "dogs")] == [1, 1, 1]


def test_a_folder_that_cannot_be_read_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its images are not left out silently."""
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("cats"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(StorageFailure, match=r"cats: this folder cannot be read: Permission denied"):
        scan(SourceSpec(root=str(folder)), set(), 0)


@pytest.mark.parametrize("key", ["../x.jpg", "/etc/x.jpg", "cats/../../x.jpg", "a\\..\\x.jpg"])
def test_keys_stay_inside_the_folder(key: str, folder: Path, tmp_path: Path, classical: Callable[..., Store]) -> None:
    """A key that is absolute or leaves the folder is refused, and the error names its line in the list file."""
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\ncats/01.jpg\n{key}\tcats\n")
    with pytest.raises(UsageError, match=r"list.txt, line 3: expected a key inside the image folder, found"):
        classical(source=SourceSpec(kind="list", root=str(folder), list_file=str(listed)))


def test_a_folder_without_images_is_refused(tmp_path: Path, classical: Callable[..., Store]) -> None:
    """A missing folder, a file and an empty folder each give an error with the path, and no store is created."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, problem in (
        ("nowhere", "there is no such image folder"),
        ("file", "the image folder is a file"),
        ("empty", "there are no images here"),
    ):
        with pytest.raises(UsageError, match=f"{tmp_path / name}: {problem}"):
            classical(source=SourceSpec(root=str(tmp_path / name)))
    assert list(tmp_path.glob("store*")) == []


def test_a_file_name_that_is_not_utf8_is_refused(folder: Path, classical: Callable[..., Store], tmp_path: Path) -> None:
    """The error shows the name in ASCII, and no store is created; a list file can leave the image out."""
    os.rename(folder / "cats" / "01.jpg", os.fsencode(folder / "cats") + b"/\xe9.jpg")
    with pytest.raises(UsageError, match=r"'cats/\\udce9.jpg' is not valid UTF-8. Rename the file.*--list"):
        classical()
    assert list(tmp_path.glob("store*")) == []
    (tmp_path / "list.txt").write_text("cats/03.jpg\n")
    source = SourceSpec(kind="list", root=str(folder), list_file=str(tmp_path / "list.txt"))
    assert Listing(classical(source=source)).images == 1


def test_a_data_set_with_a_name_that_is_not_text_is_refused(tmp_path: Path, classical: Callable[..., Store]) -> None:
    """JSON can hold a lone surrogate, which no table can store; it is refused before the store is created."""
    write_coco(tmp_path / "pim" / "val.json", {"n02085620_1.JPEG": [(0, [polygon(0, 0, 4, 4)])]})
    content = json.loads((tmp_path / "pim" / "val.json").read_text())
    for category in content["categories"]:
        category["supercategory"] = "\ud800"
    (tmp_path / "pim" / "val.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"'\\ud800' is not valid UTF-8. Fix the names of the categories"):
        classical(source=SourceSpec(kind="dataset", root=str(tmp_path / "pim"), dataset="part_imagenet_val"))
    assert list(tmp_path.glob("store*")) == []


def test_a_key_that_is_listed_again_is_one_image(folder: Path, tmp_path: Path) -> None:
    """Even if a line spells the key differently, or names the class that the folder implies anyway."""
    (tmp_path / "list.txt").write_text("cats/01.jpg\n./cats/01.jpg\ncats//01.jpg\tcats\nval/dogs/00.jpg\n")
    source = SourceSpec(kind="list", root=str(folder), list_file=str(tmp_path / "list.txt"))
    assert sorted(scan(source, set(), 0)) == [("cats/01.jpg", "train", "cats"), ("val/dogs/00.jpg", "val", "dogs")]


def test_a_key_under_two_classes_is_refused(folder: Path, tmp_path: Path) -> None:
    """The error names the key, both classes and their lines."""
    (tmp_path / "list.txt").write_text("cats/01.jpg\n# again\ncats/03.jpg\ncats/01.jpg\ttabby\n")
    source = SourceSpec(kind="list", root=str(folder), list_file=str(tmp_path / "list.txt"))
    problem = r"list.txt: cats/01.jpg is listed twice, as cats in line 1 and as tabby in line 4"
    with pytest.raises(UsageError, match=problem):
        scan(source, set(), 0)


def test_an_image_in_two_splits_is_refused(tmp_path: Path) -> None:
    """Held-out images that are also trained on would score too well."""
    for split in ("train", "val", "test"):
        write_coco(tmp_path / f"{split}.json", {"n02085620_1.JPEG": [(0, [polygon(0, 0, 4, 4)])]})
    photograph(tmp_path / "train" / "n02085620" / "n02085620_1.JPEG")
    source = SourceSpec(kind="dataset", root=str(tmp_path), dataset="part_imagenet")
    with pytest.raises(UsageError, match=r"is listed twice, as test/n02085620 and as train/n02085620"):
        scan(source, set(), 0)


def test_an_imagenet_tree_needs_its_names(tmp_path: Path) -> None:
    """Folders named by WordNet codes need labels.txt with a line for each folder; the line's name is the class."""
    root = tmp_path / "net"
    for key in ("train/n02958343/c.JPEG", "train/n01503061/b.JPEG", "val/n01503061/v.JPEG"):
        photograph(root / key)
    source = SourceSpec(root=str(root))
    images = scan(source, set(), 0)
    splits = [("train", "n01503061"), ("train", "n02958343"), ("val", "n01503061")]
    assert sorted(image[1:] for image in images) == splits
    for text, problem in (
        (None, r"\['n01503061', 'n02958343'\] are named by WordNet codes, but there is no labels.txt.*n02958343,car"),
        ("n02958343,car\n", r"labels.txt: there is no line for the class folders \['n01503061'\]"),
        ("n02958343 car\n", r"labels.txt, line 1: expected 'wnid,name', found 'n02958343 car"),
        ("n02958343,car\nn02958343,auto\n", r"labels.txt, line 2: the class n02958343 has two lines"),
    ):
        if text is not None:
            (root / "labels.txt").write_text(text)
        with pytest.raises(UsageError, match=problem):
            scan_classes(source, images)
    (root / "labels.txt").write_text("n02958343,car\nn01503061,bird\nn04194289,ship\n")
    assert [(c.class_id, c.name) for c in scan_classes(source, images)] == [(0, "car"), (1, "bird"), (2, "ship")]


def _net(root: Path, *keys: str, labels: str = "n02958343,car\nn01503061,bird\n") -> SourceSpec:
    for key in keys:
        photograph(root / key)
    (root / "labels.txt").write_text(labels)
    return SourceSpec(root=str(root))


def test_the_flat_val_of_imagenet_has_no_class(tmp_path: Path) -> None:
    """Its images are listed in val without a class, and --split train leaves them out; the vocabulary is the same."""
    source = _net(tmp_path, "train/n02958343/c.JPEG", "train/n01503061/b.JPEG", "val/ILSVRC2012_val_00000001.JPEG")
    images = sorted(scan(source, set(), 0))
    assert images[2] == ("val/ILSVRC2012_val_00000001.JPEG", "val", "")
    only = source.model_copy(update={"splits": ("train",)})
    assert sorted(scan(only, set(), 0)) == images[:2]
    assert scan_classes(source, images) == scan_classes(only, images[:2])
    with pytest.raises(UsageError, match=r"no images here.*only images of the splits test are taken"):
        scan(source.model_copy(update={"splits": ("test",)}), set(), 0)


def test_one_code_is_enough_to_need_names(tmp_path: Path) -> None:
    """A stray image beside the folders of codes does not switch the check off, and is an image without a class."""
    source = _net(tmp_path, "n02958343/c.JPEG", "n01503061/b.JPEG", "stray.png")
    images = sorted(scan(source, set(), 0))
    assert images[-1] == ("stray.png", "train", "")
    (tmp_path / "labels.txt").unlink()
    with pytest.raises(UsageError, match=r"are named by WordNet codes"):
        scan_classes(source, images)


def test_a_folder_without_classes_is_one_class(tmp_path: Path) -> None:
    """Photographs without any class folder are objects, in whatever splits they lie."""
    for key in ("Train/a.png", "Valid/b.png"):
        photograph(tmp_path / key)
    images = scan(SourceSpec(root=str(tmp_path)), set(), 0)
    assert sorted(images) == [("Train/a.png", "train", "object"), ("Valid/b.png", "val", "object")]


def test_an_error_lists_at_most_five_codes(tmp_path: Path) -> None:
    """A labels file that lacks a thousand classes is one readable line."""
    source = _net(tmp_path, *(f"n0000000{n}/a.png" for n in range(8)))
    with pytest.raises(UsageError, match=r"\['n00000000', .*'n00000004'\] and 3 more\. Add") as error:
        scan_classes(source, scan(source, set(), 0))
    assert "n00000005" not in str(error.value)


def test_images_beside_the_splits_are_refused_by_name(tmp_path: Path) -> None:
    """They would be trained on, or left out, in silence; --split says that they are to be left out."""
    for key in ("train/cat/1.png", "val/cat/1.png", "later/cat/1.png"):
        photograph(tmp_path / key)
    source = SourceSpec(root=str(tmp_path))
    with pytest.raises(UsageError, match=r"the folder later/cat lies beside the folders of the splits"):
        scan(source, set(), 0)
    assert len(scan(source.model_copy(update={"splits": ("train", "val")}), set(), 0)) == 2


def test_masks_beside_images_are_left_out_by_name(tmp_path: Path) -> None:
    """The pictures in SegmentationClass are masks; how many were left out is said."""
    for key in ("VOC/JPEGImages/1.jpg", "VOC/SegmentationClass/1.png"):
        photograph(tmp_path / key)
    told: list[str] = []
    assert scan(SourceSpec(root=str(tmp_path)), set(), 0, told.append) == [("VOC/JPEGImages/1.jpg", "train", "object")]
    assert told == ["left out: 1 files in VOC/SegmentationClass, which are masks of the images beside it"]


def test_a_list_is_read_by_the_shape_of_its_keys(tmp_path: Path) -> None:
    """Splits are found below the root in a list, too; a class on the line wins."""
    photograph(tmp_path / "a" / "train" / "cat" / "1.png")
    (tmp_path / "list.txt").write_text("a/Train/cat/1.png\na/Valid/cat/2.png\ta dog\n")
    source = SourceSpec(kind="list", root=str(tmp_path), list_file=str(tmp_path / "list.txt"))
    assert sorted(scan(source, set(), 0)) == [
        ("a/Train/cat/1.png", "train", "cat"),
        ("a/Valid/cat/2.png", "val", "a dog"),
    ]
