"""Whether the demo's data set has been drawn into a folder. Every command asks, so this loads no drawing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["ANNOTATIONS", "SHAPES", "dataset_info", "is_present"]

ANNOTATIONS = "annotations.json"
"""The ground truth. It is written last, so the data set is complete if it is there."""


SHAPES = "shapes"
"""What is drawn unless another name is given."""


def dataset_info(seed: int, num_train: int, num_val: int, drawing: str = SHAPES) -> dict[str, int | str]:
    """What is drawn, as the ground truth records it in ``info``, its first key; ``shapes`` are not named there."""
    info: dict[str, int | str] = {"seed": seed, "num_train": num_train, "num_val": num_val}
    return info if drawing == SHAPES else {**info, "drawing": drawing}


def is_present(folder: Path, info: Mapping[str, int | str]) -> bool:
    """True if exactly this data set is complete in ``folder``. Only the beginning of the ground truth is read."""
    beginning = json.dumps({"info": info}).removesuffix("}").encode()
    try:
        with (folder / ANNOTATIONS).open("rb") as file:
            return file.read(len(beginning)) == beginning
    except (FileNotFoundError, NotADirectoryError):
        return False
