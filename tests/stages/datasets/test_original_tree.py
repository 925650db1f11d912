from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pdstore.errors import InputMissing
from schemas.stages import OriginalSettings
from stages.datasets.original_files import EXTRA
from stages.datasets.original_tree import file_of
from stages.nodes.original import parts
from stages.source.listing import Listed
from tests.stages.datasets.original import labels_file, parts_file, write

CODE = "n00000001"
BLACK = np.zeros((6, 8, 3), np.uint8)
STACK = np.zeros((2, 6, 8), bool)
STACK[0, :3, :4], STACK[1, 3:, 2:] = True, True


def start(bench: Any, folder: Path, **settings: Any) -> Any:
    listed = [Listed(n, f"0_{n}.png", "train", CODE) for n in range(4)]
    setup = bench.setup(listed=lambda: iter(listed))
    return parts.start(OriginalSettings.parse({"folder": str(folder), **settings}, "node"), setup)


def test_a_file_lies_in_the_folder_of_its_class_and_has_the_name_of_its_image() -> None:
    """Folders above the image's own, such as that of a split, are not in the tree."""
    assert file_of(Path("tree"), "n1", "train/n1/n1_7.JPEG") == Path("tree/n1/n1_7.JPEG")


def test_what_is_missing_or_damaged_is_a_row_of_errors_that_names_the_file(bench: Any, tmp_path: Path) -> None:
    """A missing file leaves out an annotation, a damaged one an image; the other images keep their rows."""
    write(tmp_path / "tree", CODE, "0_0.png", parts_file(STACK))
    damaged = write(tmp_path / "tree", CODE, "0_1.png", parts_file(STACK))
    damaged.write_bytes(b"PK\x03\x04")
    other = write(tmp_path / "tree", CODE, "0_2.png", parts_file(STACK[:, :, :4]))
    unit = bench.unit(images=bench.images(BLACK, BLACK, BLACK, BLACK))
    rows = start(bench, tmp_path / "tree")(unit).rows
    assert rows["image_id"].tolist() == [0, 0] and rows["area"].tolist() == [12, 18]
    reasons = {fault["image_id"]: fault["reason"] for fault in unit.faults}
    assert reasons == {1: "bad_annotation", 2: "wrong_size", 3: "no_annotation"}
    details = [fault["detail"] for fault in unit.faults]
    assert str(damaged) in details[0] and str(other) in details[1] and "0_3.png" in details[2]
    assert unit.num_rejected() == 2 and unit.left_out == {"annotation": 1}


def test_a_file_of_another_kind_is_not_taken(bench: Any, tmp_path: Path) -> None:
    """Labels are not segments: a node reads the tree that it was meant for."""
    write(tmp_path / "tree", CODE, "0_0.png", labels_file(STACK, [0, 1], [1, 1]))
    unit = bench.unit(images=bench.images(BLACK))
    assert len(start(bench, tmp_path / "tree")(unit).rows) == 0
    assert "expected a file with part segments, found one with part labels" in unit.faults[0]["detail"]


def test_a_mask_without_pixels_is_left_out(bench: Any, tmp_path: Path) -> None:
    """The original writes an empty mask where it has found nothing; numbers of the others stay without a gap."""
    write(tmp_path / "tree", CODE, "0_0.png", parts_file(np.concatenate([np.zeros((1, 6, 8), bool), STACK])))
    unit = bench.unit(images=bench.images(BLACK))
    rows = start(bench, tmp_path / "tree")(unit).rows
    assert rows["part_id"].tolist() == [0, 1] and [fault["reason"] for fault in unit.faults] == ["empty_mask"]


def test_columns_that_do_not_fit_the_table_are_a_fault(bench: Any, tmp_path: Path) -> None:
    """The columns of an exported file are not trusted either."""
    extra = {"part_id": torch.tensor([2**40, 0])}
    write(tmp_path / "tree", CODE, "0_0.png", parts_file(STACK) | {EXTRA: extra})
    unit = bench.unit(images=bench.images(BLACK))
    assert len(start(bench, tmp_path / "tree")(unit).rows) == 0
    assert [fault["reason"] for fault in unit.faults] == ["bad_annotation"] and "part_id" in unit.faults[0]["detail"]


def test_a_folder_that_is_not_the_tree_of_these_images_is_refused(bench: Any, tmp_path: Path) -> None:
    """Before any block is read: a folder that is not there, without the classes, or of other images."""
    with pytest.raises(InputMissing, match="no such folder"):
        start(bench, tmp_path / "tree")
    write(tmp_path / "tree", "n99999999", "0_0.png", parts_file(STACK))
    with pytest.raises(InputMissing, match="no folder in it is named by the code of a class"):
        start(bench, tmp_path / "tree")
    write(tmp_path / "tree", CODE, "other.png", parts_file(STACK))
    with pytest.raises(InputMissing, match="none of the first 1 files is of an image of the store"):
        start(bench, tmp_path / "tree")


def test_the_frame_is_the_one_that_is_asked_for(bench: Any, tmp_path: Path) -> None:
    """Masks of the original's grid are brought to the frame of a longer side of this many pixels."""
    write(tmp_path / "tree", CODE, "0_0.png", parts_file(STACK.repeat(80, 1).repeat(80, 2)))
    images = bench.images(BLACK)
    for long_side, size in ((640, (6, 8)), (4, (3, 4)), (0, (6, 8))):
        rows = start(bench, tmp_path / "tree", long_side=long_side)(bench.unit(images=images)).rows
        assert {(h, w) for h, w in zip(rows["height"].tolist(), rows["width"].tolist(), strict=True)} == {size}
