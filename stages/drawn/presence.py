"""Whether the demo's data set has been drawn into a folder. Every command asks, so this loads no drawing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["ANNOTATIONS", "dataset_info", "is_present"]

ANNOTATIONS = "annotations.json"
"""The ground truth. It is written last, so the data set is complete if it is there."""


def dataset_info(seed: int, num_train: int, num_val: int) -> dict[str, int]:
    """What is drawn, as the ground truth records it in ``info``, its first key."""
    return {"seed": seed, "num_train": num_train, "num_val": num_val}


def is_present(folder: Path, info: Mapping[str, int]) -> bool:
    """True if exactly this data set is complete in ``folder``. Only the beginning of the ground truth is read."""
    beginning = json.dumps({"info": info}).removesuffix("}").encode()
    try:
        with (folder / ANNOTATIONS).open("rb") as file:
            return file.read(len(beginning)) == beginning
    except (FileNotFoundError, NotADirectoryError):
        return False
