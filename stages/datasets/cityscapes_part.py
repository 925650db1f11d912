"""Cityscapes Panoptic Parts: one TIFF file per image, in which each pixel is a number for class, instance and part.

A number holds up to three ids: only the class ``sid`` (up to 99), class and instance ``sid·10^3 + iid`` (1,000 to
99,999), or class, instance and part ``sid·10^5 + iid·10^2 + pid`` (from 100,000). Five classes have parts, 23 in all.
Sources: the label format of ``pmeletis/panoptic_parts``, and reference ``register_cityscapes_part.py``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from pdstore import masks
from pdstore.errors import UsageError
from pdstore.runlength import compress
from stages.datasets.truth import MALFORMED, Stray, TrueObject, TruePart, Truth
from stages.source.images import ImageFault

__all__ = ["PART_NAMES", "CityscapesPartReader", "classes", "decode_uids", "images", "settings"]

Ints = npt.NDArray[np.int64]
_HUMAN = ("torso", "head", "arm", "leg")
_VEHICLE = ("window", "wheel", "light", "license plate", "chassis")
PART_NAMES: Mapping[str, tuple[str, ...]] = {
    "person": _HUMAN,
    "rider": _HUMAN,
    "car": _VEHICLE,
    "truck": _VEHICLE,
    "bus": _VEHICLE,
}
"""Object class -> its parts, in the order of their ids from 1. The ids of the classes are 24 to 28."""

_FIRST_SID = 24
_LARGEST = 9_999_999
_MAX_PIXELS = 100_000_000
_IMAGES, _PARTS = "leftImg8bit", "gtFinePanopticParts"


class CityscapesPartReader:
    """Reads one file per image.

    Args:
        folder: holds ``<split>/<city>/<id>_gtFinePanopticParts.tif``; relative to the image folder.
    """

    strays: tuple[Stray, ...] = ()

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth:
        """The instances of the five classes, in ascending order of (class, instance).

        Pixels that have a class but no instance belong to a crowd, which is not an object. A part id that the class
        does not have (0, and 5 in a few humans) is not a part, but its pixels belong to the object. Raises ImageFault.
        """
        # A key with fewer folders is not from Cityscapes, and its file will be missing.
        *_, split, city, name = f"//{key}".split("/")
        uids = _pixels(load(f"{self._folder}/{split}/{city}/{name.removesuffix(f'_{_IMAGES}.png')}_{_PARTS}.tif"))
        height, width = uids.shape
        classes, instances, parts = (ids.ravel("F") for ids in decode_uids(uids))
        wanted = np.flatnonzero((classes >= _FIRST_SID) & (classes < _FIRST_SID + len(PART_NAMES)) & (instances >= 0))
        codes = (classes[wanted] * 1000 + instances[wanted]) * 100 + parts[wanted].clip(0)
        # A stable sort leaves the pixels of each code in rising order.
        order = np.argsort(codes, kind="stable")
        distinct, starts = np.unique(codes[order], return_index=True)
        groups = np.split(wanted[order], starts[1:])
        objects: dict[int, list[tuple[int, bytes]]] = {}
        for code, pixels in zip(distinct.tolist(), groups, strict=False):
            objects.setdefault(code // 100, []).append((code % 100, _encode(pixels, height, width)))
        return Truth(height, width, tuple(_object(code, parts, height, width) for code, parts in objects.items()))


def decode_uids(uids: Ints) -> tuple[Ints, Ints, Ints]:
    """Class, instance and part ids of every pixel, each in the shape of ``uids``; −1 where the number has no such id.

    Raises:
        ImageFault: if a number is negative, or has three digits or more than seven.
    """
    wrong = uids[(uids < 0) | ((uids > 99) & (uids < 1000)) | (uids > _LARGEST)]
    if len(wrong):
        detail = f"expected numbers with 1, 2, or 4 to 7 digits, found {int(wrong[0])} ({len(wrong)} such pixels)"
        raise ImageFault("damaged", detail)
    has_instance, has_part = uids > 99, uids > 99_999
    classes = np.where(has_part, uids // 100_000, np.where(has_instance, uids // 1000, uids))
    instances = np.where(has_part, uids // 100 % 1000, np.where(has_instance, uids % 1000, -1))
    return classes, instances, np.where(has_part, uids % 100, -1)


def images(root: Path, split: str) -> Iterator[tuple[str, str]]:
    """(key, "") of the images of a split; an image has no class of its own, because it shows several objects.

    Raises:
        UsageError: if the split has no images.
    """
    paths = sorted((root / _IMAGES / split).glob(f"*/*_{_IMAGES}.png"))
    if not paths:
        fix = f"Name the folder that contains {_IMAGES} and {_PARTS}: --images DIR"
        raise UsageError(f"there are no images {_IMAGES}/{split}/<city>/*_{_IMAGES}.png here", str(root), fix)
    yield from ((path.relative_to(root).as_posix(), "") for path in paths)


def classes(root: Path, splits: Sequence[str]) -> list[tuple[str, str]]:
    """(code, name) of the five classes; their names are their codes."""
    return [(name, name) for name in PART_NAMES]


def settings(root: Path, splits: Sequence[str]) -> dict[str, Any]:
    """Settings of the ground-truth nodes. Raises UsageError if the folder of annotations is missing."""
    if not (root / _PARTS).is_dir():
        raise UsageError(f"there is no folder {_PARTS} here", str(root), "Put it here, or link to it")
    return {"format": "cityscapes_part", "folder": _PARTS}


def _pixels(data: bytes) -> Ints:
    """(H, W) int64. Raises ImageFault if the file is not a TIFF of integers."""
    try:
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
            # Checked first, because a damaged header may ask for more memory than there is.
            if not image.mode.startswith("I") or image.width * image.height > _MAX_PIXELS:
                raise ValueError(f"mode {image.mode} of {image.width} x {image.height} pixels")
            return np.asarray(image).astype(np.int64)
    except UnidentifiedImageError:
        # Pillow's own message contains a memory address, which differs from run to run.
        raise ImageFault("damaged", f"expected a TIFF of integers, found {data[:8]!r}…") from None
    except MALFORMED as error:
        raise ImageFault("damaged", f"expected a TIFF of integers, found {type(error).__name__}: {error}") from None


def _object(code: int, groups: list[tuple[int, bytes]], height: int, width: int) -> TrueObject:
    name = tuple(PART_NAMES)[code // 1000 - _FIRST_SID]
    names = PART_NAMES[name]
    parts = (TruePart(names[part - 1], counts) for part, counts in groups if 1 <= part <= len(names))
    return TrueObject(name, masks.union([counts for _, counts in groups], height, width), tuple(parts))


def _encode(pixels: Ints, height: int, width: int) -> bytes:
    """Compressed run lengths from ascending pixel numbers, counted down the columns.

    Cost: linear in the pixels given, not in the size of the image.
    """
    gaps = np.flatnonzero(np.diff(pixels) > 1)
    starts = pixels[np.append(0, gaps + 1)]
    stops = pixels[np.append(gaps, len(pixels) - 1)] + 1
    ends = np.column_stack([starts, stops]).ravel()
    runs = np.diff(np.concatenate([[0], ends, [height * width]]))
    return compress((runs if runs[-1] else runs[:-1]).tolist(), height, width)
