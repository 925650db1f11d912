from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import Store
from pdstore.errors import StorageFailure, UsageError
from schemas.pipeline import SourceSpec
from stages.create.scan import scan
from stages.source.listing import Listing
from tests.stages.datasets.published import photograph, polygon, write_coco


def test_the_order_is_random_but_seeded(folder: Path) -> None:
    """The same seed lists images in the same order, another seed in another; classes are mixed."""
    source = SourceSpec(root=str(folder))
    first, again, other = scan(source, set(), 0), scan(source, set(), 0), scan(source, set(), 1)
    assert first == again != other and sorted(first) == sorted(other)
    assert all(len({wnid for _, _, wnid in first[i : i + 6]}) == 2 for i in (0, 6))


def test_a_folder_is_walked_once(
    folder: Path, classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked before the store was made is what is listed: a walk of millions of files takes hours."""
    walked = []
    monkeypatch.setattr(
        "stages.create.scan.os.walk", lambda root, walk=os.walk, **rest: walked.append(root) or walk(root)
    )
    assert Listing(classical()).images == 12
    assert walked == [folder]


def test_a_folder_that_cannot_be_read_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its images are not left out in silence."""
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("cats"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(StorageFailure, match=r"cats: expected a folder that can be read, found Permission denied"):
        scan(SourceSpec(root=str(folder)), set(), 0)


@pytest.mark.parametrize("key", ["../x.jpg", "/etc/x.jpg", "cats/../../x.jpg", "a\\..\\x.jpg"])
def test_keys_stay_inside_the_folder(key: str, folder: Path, tmp_path: Path, classical: Callable[..., Store]) -> None:
    """A key of a list file that is absolute or leaves the folder is refused with its line."""
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\ncats/01.jpg\n{key}\tcats\n")
    with pytest.raises(UsageError, match=r"a key inside the image folder.*|list.txt, line 3"):
        classical(source=SourceSpec(kind="list", root=str(folder), list_file=str(listed)))


def test_a_folder_without_images_is_refused(tmp_path: Path, classical: Callable[..., Store]) -> None:
    """Missing, a file, or empty: one error, and no store is made."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, found in (
        ("nowhere", "found nothing"),
        ("file", "found a file"),
        ("empty", "expected images, found none"),
    ):
        with pytest.raises(UsageError, match=found):
            classical(source=SourceSpec(root=str(tmp_path / name)))
    assert list(tmp_path.glob("store*")) == []


def test_a_file_name_that_is_not_utf8_is_refused(folder: Path, classical: Callable[..., Store], tmp_path: Path) -> None:
    """The error shows the name in letters that every terminal has, and no store is made; a list can leave it out."""
    os.rename(folder / "cats" / "01.jpg", os.fsencode(folder / "cats") + b"/\xe9.jpg")
    with pytest.raises(
        UsageError, match=r"expected a name in UTF-8, found 'cats/\\udce9.jpg'. Rename the file.*--list"
    ):
        classical()
    assert list(tmp_path.glob("store*")) == []
    (tmp_path / "list.txt").write_text("cats/03.jpg\n")
    source = SourceSpec(kind="list", root=str(folder), list_file=str(tmp_path / "list.txt"))
    assert Listing(classical(source=source)).images == 1


def test_a_data_set_with_a_name_that_is_no_text_is_refused(tmp_path: Path, classical: Callable[..., Store]) -> None:
    """JSON can hold half a letter, of which no table can be made; it is met before the store is."""
    write_coco(tmp_path / "pim" / "val.json", {"n02085620_1.JPEG": [(0, [polygon(0, 0, 4, 4)])]})
    content = json.loads((tmp_path / "pim" / "val.json").read_text())
    for category in content["categories"]:
        category["supercategory"] = "\ud800"
    (tmp_path / "pim" / "val.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"expected a name in UTF-8, found '\\ud800'"):
        classical(source=SourceSpec(kind="dataset", root=str(tmp_path / "pim"), dataset="part_imagenet_val"))
    assert list(tmp_path.glob("store*")) == []


def test_a_key_that_is_listed_again_is_one_image(folder: Path, tmp_path: Path) -> None:
    """Also where it is spelled another way, or where one line says the class that the folder says anyway."""
    (tmp_path / "list.txt").write_text("cats/01.jpg\n./cats/01.jpg\ncats//01.jpg\tcats\nval/dogs/00.jpg\n")
    source = SourceSpec(kind="list", root=str(folder), list_file=str(tmp_path / "list.txt"))
    assert sorted(scan(source, set(), 0)) == [("cats/01.jpg", "train", "cats"), ("val/dogs/00.jpg", "val", "dogs")]


def test_a_key_under_two_classes_is_refused(folder: Path, tmp_path: Path) -> None:
    """The error names the key, both classes and their lines."""
    (tmp_path / "list.txt").write_text("cats/01.jpg\n# again\ncats/03.jpg\ncats/01.jpg\ttabby\n")
    source = SourceSpec(kind="list", root=str(folder), list_file=str(tmp_path / "list.txt"))
    with pytest.raises(
        UsageError, match=r"list.txt: expected cats/01.jpg once, found it as cats in line 1 and as tabby in line 4"
    ):
        scan(source, set(), 0)


def test_an_image_of_two_splits_is_refused(tmp_path: Path) -> None:
    """Held-out images of a data set that are also learned from would be scored too well."""
    for split in ("train", "val", "test"):
        write_coco(tmp_path / f"{split}.json", {"n02085620_1.JPEG": [(0, [polygon(0, 0, 4, 4)])]})
    photograph(tmp_path / "train" / "n02085620" / "n02085620_1.JPEG")
    source = SourceSpec(kind="dataset", root=str(tmp_path), dataset="part_imagenet")
    with pytest.raises(UsageError, match=r"found it as test/n02085620 and as train/n02085620"):
        scan(source, set(), 0)
