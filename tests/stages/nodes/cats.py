"""Annotations that people might have drawn: cats in parts, for the tests of the nodes that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pdstore import Rows
from schemas.stages import AnnotationsSettings
from stages.unit import Unit
from tests.stages.datasets.published import HEIGHT, WIDTH, box, compressed, polygon, write_coco

BLACK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
CATEGORIES = [{"id": i, "name": n} for i, n in enumerate(("Cat head", "Cat tail", "Person arm"))]
HEAD, TAIL, ARM = range(3)


def write_cats(path: Path) -> Path:
    """A cat in two parts, its head in two annotations, and an arm; the second image shows a cat's tail."""
    images = {
        "0_0.png": [
            (ARM, compressed(box(0, 0, 3, 3))),
            (HEAD, [polygon(2, 4, 6, 5)]),
            (TAIL, compressed(box(0, 9, 4, 4))),
            (HEAD, [polygon(2, 8, 6, 2)]),
        ],
        "0_1.png": [(TAIL, [polygon(0, 0, 2, 2)])],
    }
    write_coco(path, images, categories=CATEGORIES)
    return path


def rows_of(module: Any, unit: Unit, setup: Any, **values: Any) -> Rows:
    """The rows that an annotation node gives for a unit."""
    rows: Rows = module.start(AnnotationsSettings.parse(values, "truth"), setup)(unit).rows
    return rows
