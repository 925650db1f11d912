from __future__ import annotations

import numpy as np
import pytest

from pdstore import Rows, masks
from pdstore.errors import UsageError
from schemas.tables import LABELS
from stages.show.web.snapshots import Snapshot
from stages.show.web.work.differences import agreement, read_differences


def rows(*stack: np.ndarray) -> Rows:
    size = stack[0].shape if stack else (8, 8)
    columns = {
        "image_id": np.zeros(len(stack), np.int64),
        "score": np.ones(len(stack), np.float32),
        "height": np.full(len(stack), size[0]),
        "width": np.full(len(stack), size[1]),
        "rle": masks.encode(np.stack(stack) if stack else np.zeros((0, *size), bool)),
    }
    return Rows(LABELS, columns, partial=True)


def box(top: int, bottom: int, size: int = 8) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[top:bottom] = True
    return mask


def test_agreement_is_the_mean_best_iou_of_both_sides() -> None:
    """One mask is equal, one is half of its counterpart: (1 + 1/2) of each side. Frames may differ."""
    before, after = rows(box(0, 2), box(4, 8)), rows(box(4, 6), box(0, 2))
    assert agreement(before, after) == agreement(after, before) == pytest.approx(0.75)
    assert agreement(before, rows(box(0, 4, 16), box(8, 16, 16))) == pytest.approx(1.0)
    assert agreement(rows(), rows()) == 1.0
    assert agreement(before, rows()) == agreement(rows(), before) == 0.0


def test_images_that_differ_most_come_first(snapshot: Snapshot) -> None:
    """The agreement of each image is that of its rows; equal layers agree everywhere."""
    before, after = snapshot.layer("grouping"), snapshot.layer("crf")
    found = read_differences(before, after, count=3)
    assert found.compared == 12 and found.blocks == found.common == 4 and len(found.images) == 3
    values = {}
    for unit in before.units():
        old, new = before.read(unit), after.read(unit)
        for image_id, index in old.by("image_id").items():
            values[image_id] = agreement(old.take(index), new.take(new["image_id"] == image_id))
    assert [one.agreement for one in found.images] == sorted(values.values())[:3]
    assert found.mean == pytest.approx(np.mean(list(values.values()))) and found.mean < 1
    same = read_differences(before, before)
    assert same.mean == 1.0 and {one.agreement for one in same.images} == {1.0}


def test_reading_is_bounded(snapshot: Snapshot) -> None:
    """It stops after a block when the time or the images are used up; a layer without masks is refused."""
    layer = snapshot.layer("crf")
    assert read_differences(layer, layer, seconds=0).blocks == 1
    assert read_differences(layer, layer, images=4).compared == 6
    with pytest.raises(UsageError, match="writes no masks"):
        read_differences(layer, snapshot.layer("ranking"))
