from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from schemas.stages import OriginalSettings
from stages.nodes.original import objects
from stages.source.listing import Listed
from tests.stages.datasets.original import objects_file, write

STACK = np.zeros((3, 6, 8), bool)
STACK[0, :3, :4], STACK[1, 3:, 2:], STACK[2, :2] = True, True, True


def test_objects_have_the_classes_that_the_detector_named(bench: Any, tmp_path: Path) -> None:
    """Of the image's class, in the original's words or ours; of another class; or of none, such as a person."""
    names = ["tabby, tabby cat", "dog", "person"]
    write(tmp_path / "tree", "n00000001", "0_0.png", objects_file(STACK, names, [0.75, 0.5, 0.25], "tabby, tabby cat"))
    unit = bench.unit(images=bench.images(np.zeros((6, 8, 3), np.uint8)))
    setup = bench.setup(listed=lambda: iter([Listed(0, "0_0.png", "train", "n00000001")]))
    rows = objects.start(OriginalSettings(folder=str(tmp_path / "tree")), setup)(unit).rows
    assert rows["category_name"].tolist() == ["cat", "dog", "person"] and rows["category_id"].tolist() == [0, 1, -1]
    assert rows["object_id"].tolist() == [0, 1, 2] and rows["score"].tolist() == [0.75, 0.5, 0.25]
    assert rows["area"].tolist() == [12, 18, 16] and unit.faults == []
