"""Index PNGs of PartImageNet++ and their tables: what a number means, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pdstore import masks
from pdstore.errors import CorruptData
from stages.datasets.part_numbers import ClassNames, LabelMapReader, find_wnid, object_name, read_counts, read_names
from stages.source.images import ImageFault
from tests.stages.datasets.published import HEIGHT, PPP_PARTS, WIDTH, box, write_label_map, write_tables

TENCH, BRAMBLING = PPP_PARTS
COUNTS = {TENCH: 2, BRAMBLING: 3}
NAMES = {wnid: ClassNames(name, tuple(parts)) for wnid, (name, parts) in PPP_PARTS.items()}


def found(truth: Any) -> list[tuple[str, int]]:
    (thing,) = truth.objects
    each = [(thing.name, thing.counts), *((part.name, part.counts) for part in thing.parts)]
    return [(name, int(masks.decode_one(counts, HEIGHT, WIDTH).sum())) for name, counts in each]


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_numbers_go_on_from_class_to_class(mode: str, tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """The second class begins after the parts of the first; the object is everything that is not 0."""
    write_label_map(tmp_path / f"seg/{BRAMBLING}/a.png", (3, box(0, 0, 4, 4)), (5, box(8, 0, 2, 4)), mode=mode)
    write_label_map(tmp_path / f"seg/{TENCH}/a.png", (2, box(0, 0, 1, 4)), mode=mode)
    reader = LabelMapReader("seg", COUNTS, NAMES)
    truth = reader.read(f"img/{BRAMBLING}/a.JPEG", load)
    assert found(truth) == [("brambling", 24), ("head", 16), ("foot", 8)] and truth.is_own_class
    assert found(reader.read(f"train/{TENCH}/a.JPEG", load)) == [("tench", 4), ("tail fin", 4)]
    unnamed = LabelMapReader("seg", COUNTS, {})
    assert found(unnamed.read(f"img/{BRAMBLING}/a.JPEG", load)) == [(BRAMBLING, 24), ("part 1", 16), ("part 3", 8)]


def test_the_folder_lies_next_to_img(tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """With one img and seg per split, the map comes from the split of the image."""
    write_label_map(tmp_path / f"val/seg/{TENCH}/a.png", (1, box(0, 0, 2, 2)))
    reader = LabelMapReader("seg", COUNTS, NAMES)
    assert found(reader.read(f"val/img/{TENCH}/a.JPEG", load)) == [("tench", 4), ("head", 4)]
    with pytest.raises(ImageFault, match=r"missing_file: .*train/seg"):
        reader.read(f"train/img/{TENCH}/a.JPEG", load)


def test_a_part_of_another_class_is_refused(tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """A number of another class, or of none, makes the image a row of errors; so does a class without a table row."""
    reader = LabelMapReader("seg", COUNTS, {TENCH: ClassNames("tench", ("head",))})
    for wnid, number, message in (
        (BRAMBLING, 2, r"expected 0 or the parts 3 to 5 of n01530575, found 2 \(4 such pixels\)"),
        (BRAMBLING, 6, r"bad_annotation: .*found 6"),
        (TENCH, 1, r"unknown_part: classinfo_1k_pp.py says that n01440764 has 2 parts, but category_name.json names 1"),
        ("n00000001", 1, r"unknown_class: classinfo_1k_pp.py has no class 'n00000001'"),
    ):
        write_label_map(tmp_path / f"seg/{wnid}/a.png", (number, box(0, 0, 2, 2)))
        with pytest.raises(ImageFault, match=message):
            reader.read(f"img/{wnid}/a.JPEG", load)


def test_what_is_no_index_png_is_damaged(tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """A coloured picture, a JPEG, a cut off file and text are refused with the name of the file."""
    path = tmp_path / f"seg/{TENCH}/a.png"
    write_label_map(path, (1, box(0, 0, 2, 2)))
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:60], "RGB", "JPEG"):
        if isinstance(content, str):
            mode, kind = ("RGB", "PNG") if content == "RGB" else ("L", "JPEG")
            Image.new(mode, (WIDTH, HEIGHT)).save(path, format=kind)
        else:
            path.write_bytes(content)
        with pytest.raises(ImageFault, match=rf"damaged: seg/{TENCH}/a.png: expected a PNG of part numbers"):
            LabelMapReader("seg", COUNTS, NAMES).read(f"img/{TENCH}/a.JPEG", load)


def test_an_image_of_background_has_an_object_without_pixels(tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """It is then reported as empty, and not left out in silence."""
    write_label_map(tmp_path / f"seg/{TENCH}/a.png")
    truth = LabelMapReader("seg", COUNTS, NAMES).read(f"img/{TENCH}/a.JPEG", load)
    assert found(truth) == [("tench", 0)]


def test_the_tables_are_read_and_not_run(tmp_path: Path) -> None:
    """Order and numbers of the published table; code in it is refused; names come as a list or by class."""
    write_tables(tmp_path)
    assert list(read_counts(tmp_path / "classinfo_1k_pp.py").items()) == list(COUNTS.items())
    assert read_names(tmp_path / "category_name.json") == NAMES
    table, names = tmp_path / "bad.py", tmp_path / "names.json"
    for text in (
        "CLASSES = dict(open('x'))",
        "",
        "CLASSES = {'n01440764': -1}",
        "CLASSES = {'n01440764': 'x'}",
        "(" * 9,
    ):
        table.write_text(text)
        with pytest.raises(CorruptData, match=r"bad.py: the file has no table CLASSES"):
            read_counts(table)
    names.write_text('{"n01440764": {"object": "tench", "parts": "Head,tench:Tail_Fin"}}')
    assert read_names(names) == {TENCH: ClassNames("tench", ("head", "tail fin"))}
    for text in ("[1]", '[{"file_name": "n01440764.json"}]', "{"):
        names.write_text(text)
        with pytest.raises(CorruptData, match=r"names.json"):
            read_names(names)


def test_a_code_is_found_in_a_path() -> None:
    """The first code counts; a class without a name is called by its code."""
    assert find_wnid("train/n01440764/n01530575_1.JPEG") == TENCH and find_wnid("train/x.jpg") == ""
    assert object_name(TENCH, NAMES) == "tench" and object_name(TENCH, {}) == TENCH


def test_masks_of_a_class_do_not_overlap(tmp_path: Path, load: Callable[[str], bytes]) -> None:
    """A pixel has one number, so the parts add up to the object."""
    write_label_map(tmp_path / f"seg/{BRAMBLING}/a.png", *((n, box(n, n, 6, 6)) for n in (3, 4, 5)))
    (thing,) = LabelMapReader("seg", COUNTS, NAMES).read(f"img/{BRAMBLING}/a.JPEG", load).objects
    stack = np.stack([masks.decode_one(part.counts, HEIGHT, WIDTH) for part in thing.parts])
    assert stack.sum(0).max() == 1 and (stack.any(0) == masks.decode_one(thing.counts, HEIGHT, WIDTH)).all()
