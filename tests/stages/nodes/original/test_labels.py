from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pdstore import masks
from schemas.stages import OriginalSettings
from stages.nodes.original import labels
from stages.source.listing import Listed
from tests.stages.datasets.original import labels_file, write


def test_labels_lose_the_padding_of_the_original(bench: Any, tmp_path: Path) -> None:
    """Part ranking pads its pictures to a square; clusters and scores are those of the file."""
    padded = np.zeros((2, 8, 8), bool)
    padded[0, :3, :4], padded[1, 3:6, 2:] = True, True
    write(tmp_path / "tree", "n00000001", "0_0.png", labels_file(padded, [7, 2], [0.5, 0.25]))
    unit = bench.unit(images=bench.images(np.zeros((6, 8, 3), np.uint8)))
    setup = bench.setup(listed=lambda: iter([Listed(0, "0_0.png", "train", "n00000001")]))
    rows = labels.start(OriginalSettings(folder=str(tmp_path / "tree")), setup)(unit).rows
    assert rows["cluster"].tolist() == [7, 2] and rows["score"].tolist() == [0.5, 0.25]
    assert (masks.decode(rows.ragged("rle"), 6, 8) == padded[:, :6]).all()
    assert rows["area"].tolist() == [12, 18] and np.allclose(rows["object_ratio"], [12 / 30, 18 / 30])
