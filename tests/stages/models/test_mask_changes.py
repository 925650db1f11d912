"""Where masks and label maps change, found by torch, compared with NumPy on the pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pdstore import masks, runs
from stages.models.mask_changes import label_changes, mask_changes

SIZES = [(7, 9), (1, 12), (12, 1), (1, 1)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_masks_from_their_changes(size: tuple[int, int], share: float) -> None:
    """The strings are those of the pixels: with empty and full masks between others, and of a single mask."""
    stack = np.random.default_rng(0).random((6, *size)) < share
    stack[1], stack[4] = False, True
    for some in (stack, stack[:1], stack[4:5]):
        places, counts = mask_changes(torch.from_numpy(some))
        assert places.dtype == counts.dtype == np.int64 and len(places) == counts.sum()
        assert runs.strings(runs.from_changes(places, counts, *size)) == masks.encode(some)


def test_no_masks_have_no_changes() -> None:
    """Neither places nor counts."""
    places, counts = mask_changes(torch.zeros(0, 4, 5, dtype=torch.bool))
    assert len(places) == len(counts) == 0
    assert len(runs.from_changes(places, counts, 4, 5)) == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("highest", [0, 1, 3])
def test_a_label_map_from_its_changes(size: tuple[int, int], highest: int) -> None:
    """Its masks are those of the pixels; -1 is no label."""
    labels = np.random.default_rng(1).integers(-1, highest, size)
    found = runs.from_label_changes(*label_changes(torch.from_numpy(labels)), 4, *size)
    assert runs.strings(found) == runs.strings(runs.from_labels(labels, 4))
