from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from schemas.stages import OriginalSettings
from stages.nodes.original import parts
from stages.source.listing import Listed
from tests.stages.datasets.original import parts_file, write


def test_parts_are_of_the_best_object_which_is_of_the_images_class(bench: Any, tmp_path: Path) -> None:
    """Their object is all of them together; there is no CRF and no feature that could be known."""
    stack = np.zeros((2, 6, 8), bool)
    stack[0, :3, :4], stack[1, 3:, 2:] = True, True
    write(tmp_path / "tree", "n00000002", "0_0.png", parts_file(stack))
    unit = bench.unit(images=bench.images(np.zeros((6, 8, 3), np.uint8), classes=[1]))
    setup = bench.setup(listed=lambda: iter([Listed(0, "0_0.png", "train", "n00000002")]))
    rows = parts.start(OriginalSettings(folder=str(tmp_path / "tree")), setup)(unit).rows
    assert rows["category_id"].tolist() == [1, 1] and rows["category_name"].tolist() == ["dog", "dog"]
    assert rows["part_id"].tolist() == [0, 1] and rows["object_id"].tolist() == [0, 0]
    assert np.allclose(rows["object_ratio"], [12 / 30, 18 / 30]) and np.isnan(rows["changed"]).all()
    assert rows["feature"].shape == (2, 0)
