"""Part numbers of PartImageNet++: one PNG per image, and the tables that say what the numbers mean.

A pixel holds the number of its part, or 0. The parts of all classes are numbered through from 1, class by class in the
order of the table ``CLASSES`` in ``classinfo_1k_pp.py``, which says how many parts each class has. The names of object
and parts are in ``category_name.json``. Source: ``partdataset.py`` of ``LixiaoTHU/PartImageNetPP``.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from pdstore import masks
from pdstore.errors import CorruptData
from stages.datasets.coco import read_content
from stages.datasets.paco_json import split_category
from stages.datasets.truth import MALFORMED, Stray, TrueObject, TruePart, Truth
from stages.source.images import ImageFault

__all__ = [
    "NAMES",
    "TABLE",
    "WNID",
    "ClassNames",
    "LabelMapReader",
    "find_wnid",
    "object_name",
    "read_counts",
    "read_names",
]

TABLE, NAMES = "classinfo_1k_pp.py", "category_name.json"
WNID = re.compile(r"n\d{8}")
_MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class ClassNames:
    """Name of an object class, and the names of its parts in the order of their numbers."""

    name: str
    parts: tuple[str, ...]


class LabelMapReader:
    """Reads one PNG of part numbers per image.

    Args:
        folder: relative to the image folder; for an image in a folder ``img``, the folder of this name next to that.
        counts: WordNet code -> number of parts, in the order in which the parts are numbered.
        names: WordNet code -> names; parts without names are called ``part 1``, ``part 2``, …
    """

    strays: tuple[Stray, ...] = ()

    def __init__(self, folder: str, counts: Mapping[str, int], names: Mapping[str, ClassNames]) -> None:
        self._folder, self._names = folder, names
        ends = np.cumsum(list(counts.values()), dtype=np.int64).tolist()
        self._numbers = {w: range(e - n + 1, e + 1) for (w, n), e in zip(counts.items(), ends, strict=True)}

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth:
        """The object and its parts in the order of their numbers. Raises ImageFault."""
        wnid = find_wnid(key)
        own = self._numbers.get(wnid)
        if own is None:
            raise ImageFault("unknown_class", f"{TABLE} has no class {wnid!r}")
        named = self._names[wnid].parts if wnid in self._names else tuple(f"part {n + 1}" for n in range(len(own)))
        if len(named) != len(own):
            detail = f"{TABLE} says that {wnid} has {len(own)} parts, but {NAMES} names {len(named)}"
            raise ImageFault("unknown_part", detail)
        path = _label_map(key, self._folder)
        labels = _labels(path, load(path))
        is_wrong = (labels != 0) & ((labels < own.start) | (labels >= own.stop))
        if is_wrong.any():
            found = f"{int(labels[is_wrong][0])} ({int(is_wrong.sum())} such pixels)"
            detail = f"{path}: expected 0 or the parts {own.start} to {own.stop - 1} of {wnid}, found {found}"
            raise ImageFault("bad_annotation", detail)
        height, width = labels.shape
        present = np.unique(labels[labels != 0]).tolist()
        parts = tuple(TruePart(named[n - own.start], _encode(labels == n)) for n in present)
        whole = TrueObject(object_name(wnid, self._names).lower(), _encode(labels != 0), parts)
        return Truth(height, width, (whole,), is_own_class=True)


def object_name(wnid: str, names: Mapping[str, ClassNames]) -> str:
    """The name of a class; without one, its code."""
    return names[wnid].name if wnid in names else wnid


def find_wnid(text: str) -> str:
    """The first WordNet code in a text; empty if there is none."""
    match = WNID.search(text)
    return match.group() if match else ""


def read_counts(path: Path) -> dict[str, int]:
    """WordNet code -> number of parts, from ``CLASSES = {…}``. The file is read and never run."""
    try:
        assigned = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
        counts = {str(w): int(n) for w, n in ast.literal_eval(assigned[0].value).items()}
        if not counts or min(counts.values()) < 0:
            raise ValueError("no classes, or a negative number of parts")
    except (*MALFORMED, RecursionError) as error:
        problem = f"the file has no table CLASSES of codes and numbers of parts ({type(error).__name__}: {error})"
        raise CorruptData(problem, str(path), "Put the table of the authors here") from None
    return counts


def read_names(path: Path) -> dict[str, ClassNames]:
    """WordNet code -> names. A record names a file of a class, its object and its parts, in keys that say so."""
    content = read_content(path)
    found: dict[str, ClassNames] = {}
    try:
        records = list(content.items()) if isinstance(content, dict) else [("", record) for record in content]
        for key, record in records:
            wnid = find_wnid(" ".join([key, *(value for value in record.values() if isinstance(value, str))]))
            (name,) = (str(value) for field, value in record.items() if "object" in field)
            (parts,) = (value for field, value in record.items() if "part" in field)
            listed = parts.split(",") if isinstance(parts, str) else parts
            found[wnid] = ClassNames(name.replace("_", " "), tuple(_part_name(str(part)) for part in listed))
    except MALFORMED as error:
        problem = f"expected the file, the object and the parts of each class ({type(error).__name__}: {error})"
        raise CorruptData(problem, str(path), "Fix the file, or move it away: parts are then numbered") from None
    found.pop("", None)
    return found


def _part_name(name: str) -> str:
    thing, part = split_category(name)
    return part or thing


def _label_map(key: str, folder: str) -> str:
    """``train/img/n01/a.JPEG`` -> ``train/seg/n01/a.png``; elsewhere -> ``seg/n01/a.png``."""
    path = PurePosixPath(key).with_suffix(".png")
    parts = list(path.parts)
    if len(parts) > 2 and parts[-3] == "img":
        return "/".join([*parts[:-3], folder, *parts[-2:]])
    return f"{folder}/{find_wnid(key)}/{path.name}"


def _labels(path: str, data: bytes) -> npt.NDArray[np.int64]:
    """(H, W) int64. Raises ImageFault if the file is not a PNG of numbers."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            # Checked first, because a damaged header may ask for more memory than there is.
            if image.mode not in ("L", "P", "I", "I;16") or image.width * image.height > _MAX_PIXELS:
                raise ValueError(f"mode {image.mode} of {image.width} x {image.height} pixels")
            return np.asarray(image).astype(np.int64)
    except UnidentifiedImageError:
        # Pillow's own message contains a memory address, which differs from run to run.
        raise ImageFault("damaged", f"{path}: expected a PNG of part numbers, found {data[:8]!r}…") from None
    except MALFORMED as error:
        detail = f"{path}: expected a PNG of part numbers, found {type(error).__name__}: {error}"
        raise ImageFault("damaged", detail) from None


def _encode(mask: npt.NDArray[np.bool_]) -> bytes:
    return masks.encode(mask[None])[0]
