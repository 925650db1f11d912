from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import masks
from pdstore.errors import UsageError
from stages.datasets import pascal_part
from stages.datasets.pascal_part import CLASSES, PART_NAMES, PascalPartReader, part_name
from stages.datasets.truth import Truth
from stages.source.images import ImageFault
from tests.stages.datasets.published import HEIGHT, WIDTH, box, write_mat, write_voc

KEY = "JPEGImages/2008_000008.jpg"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[], Truth]:
    return lambda: PascalPartReader("Annotations_Part").read(KEY, lambda path: (tmp_path / path).read_bytes())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "Annotations_Part/2008_000008.mat"


def test_every_object_has_its_parts_by_their_common_names(file: Path, read: Callable[[], Truth]) -> None:
    """Sides and numbers are dropped, the order stays; objects without parts or with a synonym are kept."""
    parts = [("lfleg", box(8, 3, 2, 2)), ("head", box(2, 3, 4, 4)), ("rbleg", box(8, 9, 2, 2))]
    engines = [("engine_1", box(0, 20, 2, 2)), ("engine_2", box(4, 20, 2, 2))]
    write_mat(
        file,
        ("dog", box(2, 3, 10, 12), parts),
        ("table", box(20, 0, 4, 4), []),
        ("aeroplane", box(0, 18, 9, 9), engines),
    )
    truth = read()
    assert (truth.height, truth.width, truth.is_own_class) == (HEIGHT, WIDTH, False)
    assert [thing.name for thing in truth.objects] == ["dog", "diningtable", "aeroplane"]
    assert [[p.name for p in thing.parts] for thing in truth.objects] == [["leg", "head", "leg"], [], ["engine"] * 2]
    drawn = [
        masks.decode_one(counts, HEIGHT, WIDTH)
        for counts in (truth.objects[0].counts, truth.objects[0].parts[1].counts)
    ]
    assert (drawn[0] == box(2, 3, 10, 12)).all() and (drawn[1] == box(2, 3, 4, 4)).all()


def test_an_image_may_have_no_objects(file: Path, read: Callable[[], Truth]) -> None:
    """An empty struct is not a fault."""
    write_mat(file)
    assert read().objects == ()


def test_the_table_of_names_has_the_sizes_of_the_reference() -> None:
    """There are 20 classes, 50 part names and 120 pairs; the examples are from the reference."""
    assert len(CLASSES) == 20
    assert len({name for names in PART_NAMES.values() for name in names}) == 50
    assert sum(map(len, PART_NAMES.values())) == 120
    assert part_name("person", "luarm") == "arm" and part_name("horse", "rbho") == "hoof"
    assert part_name("train", "cleftside_3") == "coach_side" and part_name("motorbike", "saddle") == "seat"
    assert part_name("bus", "fliplate") == "license plate" and part_name("cat", "rear") == "ear"


@pytest.mark.parametrize(
    ("name", "part", "reason", "detail"),
    [
        ("dog", "fin", "unknown_part", "'fin' is not a part of dog"),
        ("sofa", "leg_1", "unknown_part", "'leg_1' is not a part of sofa"),
        ("zebra", "head", "unknown_class", "'zebra' is not one of the 20 classes"),
    ],
)
def test_unknown_names_are_faults(
    name: str, part: str, reason: str, detail: str, file: Path, read: Callable[[], Truth]
) -> None:
    """A part or class that the data set does not have is named in the fault."""
    write_mat(file, (name, box(0, 0, 5, 5), [(part, box(0, 0, 2, 2))]))
    with pytest.raises(ImageFault) as caught:
        read()
    assert caught.value.reason == reason and detail in caught.value.detail


def test_a_damaged_file_is_a_fault(file: Path, read: Callable[[], Truth]) -> None:
    """A file that is cut off, has other content, or has masks of two sizes is refused."""
    write_mat(file, ("dog", box(2, 3, 10, 12), [("head", box(2, 3, 4, 4))]))
    sound = file.read_bytes()
    for data in [sound[:n] for n in (0, 60, 128, 200, len(sound) - 9)] + [b"no matlab file " * 20]:
        file.write_bytes(data)
        with pytest.raises(ImageFault, match="damaged: expected a struct anno with objects and their parts"):
            read()
    write_mat(file, ("dog", box(2, 3, 10, 12)[:5], [("head", box(2, 3, 4, 4))]))
    with pytest.raises(ImageFault, match=r"expected masks .* of equal size, found \(24, 32\) for head"):
        read()


def test_splits_are_the_lists_of_voc(tmp_path: Path) -> None:
    """Keys come in listed order and without a class, wherever VOC lies under the folder."""
    write_voc(tmp_path / "a", val=["2008_000008", "2007_000027"])
    write_voc(tmp_path / "b/VOCdevkit/VOC2012", train=["2008_000001"])
    assert list(pascal_part.images(tmp_path / "a", "val")) == [
        ("JPEGImages/2008_000008.jpg", ""),
        ("JPEGImages/2007_000027.jpg", ""),
    ]
    keys = list(pascal_part.images(tmp_path / "b", "train"))
    assert keys == [("VOCdevkit/VOC2012/JPEGImages/2008_000001.jpg", "")] and (tmp_path / "b" / keys[0][0]).is_file()
    with pytest.raises(UsageError, match=r"there is no ImageSets/Main/train.txt here"):
        list(pascal_part.images(tmp_path / "a", "train"))
    (tmp_path / "a/ImageSets/Main/val.txt").write_text("2008_000008\n../../secret\n")
    with pytest.raises(UsageError, match=r"val.txt, line 2: expected the id of an image, found '../../secret'"):
        list(pascal_part.images(tmp_path / "a", "val"))


@pytest.mark.parametrize("folder", ["Annotations_Part", "annotations"])
def test_the_folder_of_annotations_is_found(folder: str, tmp_path: Path) -> None:
    """It may be named as it is unpacked, or as the reference expects it, next to a folder ``images``."""
    write_voc(tmp_path / "images", val=["2008_000008"])
    with pytest.raises(UsageError, match=r"there is no folder Annotations_Part with .mat files here"):
        pascal_part.settings(tmp_path, ["val"])
    write_mat(tmp_path / folder / "2008_000008.mat")
    assert pascal_part.settings(tmp_path, ["val"]) == {"format": "pascal_part", "folder": folder}
