from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pdstore import masks
from stages.datasets.original_files import EXTRA, file_bytes, read_file, segmentations
from stages.source.images import ImageFault
from tests.stages.datasets.original import encoded, labels_file, objects_file, parts_file, write

STACK = np.zeros((2, 6, 8), bool)
STACK[0, :3, :4], STACK[1, 3:, 2:] = True, True


def test_the_three_kinds_are_told_apart_by_their_keys(tmp_path: Path) -> None:
    """Masks, scores, names and clusters are read as the original's code has written them."""
    found = read_file(write(tmp_path, "n1", "a.JPEG", objects_file(STACK, ["cat", "dog"], [0.75, 0.5])))
    assert (found.kind, found.names, found.scores.tolist()) == ("objects", ["cat", "dog"], [0.75, 0.5])
    assert (masks.decode(found.rle, found.height, found.width) == STACK).all() and found.class_name == "cat"
    found = read_file(write(tmp_path, "n1", "b.JPEG", parts_file(STACK)))
    assert found.kind == "parts" and (masks.decode(found.rle, 6, 8) == STACK).all() and found.scores.tolist() == [1, 1]
    found = read_file(write(tmp_path, "n1", "c.JPEG", labels_file(STACK, [5, 2], [0.25, 1])))
    assert (found.kind, found.clusters.tolist(), found.scores.tolist()) == ("labels", [5, 2], [0.25, 1])


def test_the_crf_scripts_two_names_of_the_masks_are_one(tmp_path: Path) -> None:
    """One of the original's CRF scripts writes part_masks, the other part_mask; None stands for a picture without."""
    content = parts_file(STACK)
    content["part_masks"] = content.pop("part_mask")
    assert len(read_file(write(tmp_path, "n1", "a.JPEG", content)).rle) == 2
    found = read_file(write(tmp_path, "n1", "b.JPEG", parts_file(STACK) | {"part_mask": None}))
    assert found.kind == "parts" and len(found.rle) == 0


def test_a_name_for_each_detection_is_not_taken_for_one_of_each_mask(tmp_path: Path) -> None:
    """If there are more names than masks, only a name that all have in common is one."""
    for names, expected in ((["cat"] * 5, ["cat", "cat"]), (["cat", "dog", "cat"], ["", ""])):
        path = write(tmp_path, "n1", "a.JPEG", objects_file(STACK, names, [1, 1]))
        assert read_file(path).names == expected


def test_what_is_written_is_read_by_the_original_and_by_us(tmp_path: Path) -> None:
    """Keys and types are kept; NumPy's arrays are named as every NumPy knows them, and torch reads them safely."""
    rle = masks.encode(STACK)
    content: dict[str, Any] = {"part_masks": segmentations(rle, 6, 8), "part_labels": torch.tensor([3, 1])}
    content |= {"part_scores": np.array([0.5, 1], np.float32), EXTRA: {"object_id": torch.tensor([0, 2])}}
    path = tmp_path / "a.JPEG"
    path.write_bytes(file_bytes(content))
    loaded = torch.load(path, "cpu", weights_only=False)
    assert loaded["part_masks"] == encoded(STACK) and loaded["part_labels"].dtype == torch.int64
    assert type(loaded["part_scores"]) is np.ndarray and loaded["part_scores"].dtype == np.float32
    assert b"numpy._core" not in path.read_bytes() and b"numpy.core.multiarray" in path.read_bytes()
    found = read_file(path)
    assert found.rle == rle and found.clusters.tolist() == [3, 1]
    assert found.columns["object_id"].tolist() == [0, 2]


def test_columns_of_other_masks_are_not_used(tmp_path: Path) -> None:
    """Who removes a mask from an exported file leaves columns of another length; the original's keys are enough."""
    content = parts_file(STACK[:1]) | {EXTRA: {"part_id": torch.tensor([4, 5])}}
    assert read_file(write(tmp_path, "n1", "a.JPEG", content)).columns == {}


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"weights": torch.zeros(3)}, r"no 'part_mask'"),
        ([1, 2], "list, not a mapping"),
        (parts_file(STACK) | {"part_mask": [{"segmentation": {"size": [6, 8], "counts": "0000"}}]}, "found .*mask 0"),
        (labels_file(STACK, [1], [0.5, 0.5]), r"shape \(1,\) for 2 masks"),
        (labels_file(STACK, [1, 2], [0.5, np.nan]), "for 2 masks"),
        (parts_file(STACK) | {"part_mask": encoded(STACK) + encoded(STACK[:, :4])}, "masks of the sizes"),
        (Hostile(), "print"),
    ],
)
def test_a_damaged_or_foreign_file_is_a_fault_that_names_it(content: Any, found: str, tmp_path: Path) -> None:
    """Nothing of it is run, and the reason says what was found."""
    path = write(tmp_path, "n1", "a.JPEG", content)
    with pytest.raises(ImageFault, match=found) as error:
        read_file(path)
    assert error.value.reason == "bad_annotation" and str(path) in error.value.detail


def test_a_file_that_is_cut_off_or_not_there_is_a_fault(tmp_path: Path) -> None:
    """A job that was killed leaves half a file; the original counts it as done."""
    path = write(tmp_path, "n1", "a.JPEG", parts_file(STACK))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ImageFault, match=re.escape(str(path))) as error:
        read_file(path)
    assert error.value.reason == "bad_annotation"
    with pytest.raises(ImageFault, match="there is no file .*nothing") as error:
        read_file(tmp_path / "nothing")
    assert error.value.reason == "no_annotation"
    path.write_bytes(pickle.dumps(parts_file(STACK) | {"object_ratio": 0.5}))
    assert read_file(path).kind == "parts"
