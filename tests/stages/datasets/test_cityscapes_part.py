from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import sampled_from
from PIL import Image

from pdstore import masks
from pdstore.errors import UsageError
from stages.datasets import cityscapes_part
from stages.datasets.cityscapes_part import PART_NAMES, CityscapesPartReader, decode_uids
from stages.datasets.truth import Truth
from stages.source.images import ImageFault
from tests.stages.datasets.published import HEIGHT, WIDTH, box, street, write_tiff

KEY = "leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png"
FILE = "gtFinePanopticParts/val/ulm/ulm_000001_000019_gtFinePanopticParts.tif"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[], Truth]:
    return lambda: CityscapesPartReader("gtFinePanopticParts").read(KEY, lambda path: (tmp_path / path).read_bytes())


def decode(counts: bytes) -> np.ndarray:
    return masks.decode_one(counts, HEIGHT, WIDTH)


def test_all_three_forms_of_numbers_are_decoded() -> None:
    """A class alone, with an instance, and with a part; the numbers are the examples of the format."""
    uids = np.array([[0, 23, 99, 1000, 26002], [99_999, 100_000, 2_401_002, 2_400_000, 9_999_999]])
    classes, instances, parts = (ids.tolist() for ids in decode_uids(uids))
    assert classes == [[0, 23, 99, 1, 26], [99, 1, 24, 24, 99]]
    assert instances == [[-1, -1, -1, 0, 2], [999, 0, 10, 0, 999]]
    assert parts == [[-1, -1, -1, -1, -1], [-1, 0, 2, 0, 99]]


@pytest.mark.parametrize("number", [-1, 100, 999, 10_000_000])
def test_invalid_numbers_are_a_fault(number: int) -> None:
    """A number is refused if it is negative, or has three digits or more than seven."""
    with pytest.raises(ImageFault, match=rf"damaged: .*found {number} \(2 such pixels\)"):
        decode_uids(np.array([7, number, number]))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_instances_have_their_parts(compression: str | None, tmp_path: Path, read: Callable[[], Truth]) -> None:
    """Objects come by class and instance; void pixels belong to the object but to no part; a crowd is not an object."""
    uids = np.full((HEIGHT, WIDTH), 7, np.int32)
    for number, where in [
        (2_600_105, box(10, 10, 8, 12)),
        (2_600_102, box(16, 11, 2, 2)),
        (2_600_100, box(10, 10, 1, 12)),
        (2_400_002, box(0, 0, 3, 3)),
        (24_000, box(3, 0, 4, 3)),
        (2_400_103, box(0, 5, 2, 2)),
        (24, box(20, 0, 4, 9)),
        (33_001, box(20, 20, 2, 2)),
    ]:
        uids[where] = number
    write_tiff(tmp_path / FILE, uids, **({"compression": compression} if compression else {}))
    truth = read()
    assert (truth.height, truth.width) == (HEIGHT, WIDTH)
    assert [thing.name for thing in truth.objects] == ["person", "person", "car"]
    assert [[p.name for p in thing.parts] for thing in truth.objects] == [["head"], ["arm"], ["wheel", "chassis"]]
    first, _, car = truth.objects
    assert (decode(first.counts) == box(0, 0, 7, 3)).all() and (decode(first.parts[0].counts) == box(0, 0, 3, 3)).all()
    assert (decode(car.counts) == box(10, 10, 8, 12)).all()
    assert (decode(car.parts[1].counts) == box(11, 10, 7, 12) & ~box(16, 11, 2, 2)).all()


def test_16_bit_files_have_classes_and_instances(tmp_path: Path, read: Callable[[], Truth]) -> None:
    """An image without parts fits into 16 bits."""
    uids = np.full((HEIGHT, WIDTH), 23, np.uint16)
    uids[box(2, 2, 5, 5)] = 28_003
    write_tiff(tmp_path / FILE, uids)
    (bus,) = read().objects
    assert (bus.name, bus.parts) == ("bus", ()) and (decode(bus.counts) == box(2, 2, 5, 5)).all()


def test_a_part_that_the_class_does_not_have_is_void(tmp_path: Path, read: Callable[[], Truth]) -> None:
    """A few files have part 5 for humans, who have four parts; it must not become a part of another class."""
    uids = np.zeros((HEIGHT, WIDTH), np.int32)
    uids[box(0, 0, 4, 4)] = 2_500_004
    uids[box(4, 0, 4, 4)] = 2_500_005
    write_tiff(tmp_path / FILE, uids)
    (rider,) = read().objects
    assert [part.name for part in rider.parts] == ["leg"] and (decode(rider.counts) == box(0, 0, 8, 4)).all()


@given(uids=arrays(np.int32, (HEIGHT, WIDTH), elements=sampled_from([7, 24, 24_000, 2_400_001, 2_400_102, 2_800_204])))
def test_masks_are_those_of_the_numbers(uids: np.ndarray, tmp_path: Path, read: Callable[[], Truth]) -> None:
    """Masks made from runs of pixels equal those made by comparing every pixel."""
    write_tiff(tmp_path / FILE, uids)
    found = {(t.name, p.name): decode(p.counts) for t in read().objects for p in t.parts}
    wanted = {("person", "torso"): 2_400_001, ("person", "head"): 2_400_102, ("bus", "license plate"): 2_800_204}
    present = {name: uids == number for name, number in wanted.items() if (uids == number).any()}
    assert found.keys() == present.keys()
    assert all((found[name] == mask).all() for name, mask in present.items())


def test_there_are_23_parts_of_5_classes() -> None:
    """These are the numbers that the data set states."""
    assert list(PART_NAMES) == ["person", "rider", "car", "truck", "bus"]
    assert sum(map(len, PART_NAMES.values())) == 23


def test_a_damaged_file_is_a_fault(tmp_path: Path, read: Callable[[], Truth]) -> None:
    """A file that is cut off, not a TIFF, or a TIFF of colours is refused, each time with the same words."""
    write_tiff(tmp_path / FILE, np.full((HEIGHT, WIDTH), 2_400_001, np.int32))
    sound = (tmp_path / FILE).read_bytes()
    for data in (sound[: len(sound) // 2], b"", b"no picture at all", sound[:2]):
        (tmp_path / FILE).write_bytes(data)
        faults = []
        for _ in range(2):
            with pytest.raises(ImageFault, match="damaged: expected a TIFF of integers, found") as caught:
                read()
            faults.append(caught.value.detail)
        assert faults[0] == faults[1]
    for mode in ("RGB", "L", "F"):
        Image.new(mode, (WIDTH, HEIGHT)).save(tmp_path / FILE, format="TIFF")
        with pytest.raises(ImageFault, match=f"found ValueError: mode {mode} of 32 x 24 pixels"):
            read()


def test_images_are_those_of_the_cities_of_a_split(tmp_path: Path) -> None:
    """They are sorted and have no class of their own; a missing folder is an error."""
    for split, name in (("val", "ulm_1"), ("val", "bonn_2"), ("train", "jena_3")):
        street(tmp_path, split, name)
    (tmp_path / "leftImg8bit/val/ulm/notes.txt").write_text("x")
    assert list(cityscapes_part.images(tmp_path, "val")) == [
        ("leftImg8bit/val/bonn/bonn_2_leftImg8bit.png", ""),
        ("leftImg8bit/val/ulm/ulm_1_leftImg8bit.png", ""),
    ]
    with pytest.raises(UsageError, match=r"there are no images leftImg8bit/test/<city>/\*_leftImg8bit.png here"):
        list(cityscapes_part.images(tmp_path, "test"))
    with pytest.raises(UsageError, match="there is no folder gtFinePanopticParts here"):
        cityscapes_part.settings(tmp_path, ["val"])
