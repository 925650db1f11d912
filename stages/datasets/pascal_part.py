"""Pascal Part: one MATLAB file per image, for the photographs of PASCAL VOC.

``Annotations_Part/<id>.mat`` holds a struct ``anno`` with ``imname`` and ``objects``. Each object has ``class``,
``class_ind``, ``mask`` and ``parts``, and each part has ``part_name`` and ``mask``. The files distinguish left and
right, front and back, upper and lower, and number repeated parts; here all of these share one name. Source of the
names: reference ``pascal_info.py`` (``orig_name``), 50 part names and 120 (object, part) pairs over 20 classes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import masks
from pdstore.errors import UsageError
from stages.datasets.truth import MALFORMED, Stray, TrueObject, TruePart, Truth
from stages.source.images import ImageFault
from stages.source.matlab_files import check_mat
from stages.source.text_files import read_lines

__all__ = ["CLASSES", "PART_NAMES", "PascalPartReader", "classes", "images", "part_name", "settings"]

_PLACES = ("", "images/", "VOC2012/", "VOCdevkit/VOC2012/")
"""Where the VOC data set may lie under the image folder."""
_FOLDERS = ("Annotations_Part", "annotations")

_VEHICLE = {
    "front": "frontside",
    "side": "leftside rightside",
    "back": "backside",
    "roof": "roofside",
    "mirror": "leftmirror rightmirror",
    "license plate": "fliplate bliplate",
    "door": "door",
    "wheel": "wheel",
    "headlight": "headlight",
    "window": "window",
}
_FACE = {"head": "head", "eye": "leye reye", "ear": "lear rear"}
_PET = {
    **_FACE,
    "nose": "nose",
    "torso": "torso",
    "neck": "neck",
    "leg": "lfleg rfleg lbleg rbleg",
    "paw": "lfpa rfpa lbpa rbpa",
    "tail": "tail",
}
_CATTLE = {
    **_FACE,
    "muzzle": "muzzle",
    "horn": "lhorn rhorn",
    "torso": "torso",
    "neck": "neck",
    "leg": "lfuleg lflleg rfuleg rflleg lbuleg lblleg rbuleg rblleg",
    "tail": "tail",
}
_WHEELS = {"wheel": "fwheel bwheel", "seat": "saddle", "handlebar": "handlebar", "headlight": "headlight"}

PART_NAMES: Mapping[str, Mapping[str, str]] = {
    "aeroplane": {
        "body": "body",
        "stern": "stern",
        "wing": "lwing rwing",
        "tail": "tail",
        "engine": "engine",
        "wheel": "wheel",
    },
    "bicycle": {**_WHEELS, "chainwheel": "chainwheel"},
    "bird": {
        "head": "head",
        "eye": "leye reye",
        "beak": "beak",
        "torso": "torso",
        "neck": "neck",
        "wing": "lwing rwing",
        "leg": "lleg rleg",
        "foot": "lfoot rfoot",
        "tail": "tail",
    },
    "boat": {},
    "bottle": {"cap": "cap", "body": "body"},
    "bus": _VEHICLE,
    "car": _VEHICLE,
    "cat": _PET,
    "chair": {},
    "cow": _CATTLE,
    "diningtable": {},
    "dog": {**_PET, "muzzle": "muzzle"},
    "horse": {**_CATTLE, "hoof": "lfho rfho lbho rbho"},
    "motorbike": _WHEELS,
    "person": {
        **_FACE,
        "eyebrow": "lebrow rebrow",
        "nose": "nose",
        "mouth": "mouth",
        "hair": "hair",
        "torso": "torso",
        "neck": "neck",
        "arm": "llarm luarm rlarm ruarm",
        "hand": "lhand rhand",
        "leg": "llleg luleg rlleg ruleg",
        "foot": "lfoot rfoot",
    },
    "pottedplant": {"pot": "pot", "plant": "plant"},
    "sheep": _CATTLE,
    "sofa": {},
    "train": {
        "locomotive": "head",
        "locomotive_front": "hfrontside",
        "locomotive_side": "hleftside hrightside",
        "locomotive_backside": "hbackside",
        "locomotive_roof": "hroofside",
        "headlight": "headlight",
        "coach_car": "coach",
        "coach_front": "cfrontside",
        "coach_side": "cleftside crightside",
        "coach_backside": "cbackside",
        "coach_roof": "croofside",
    },
    "tvmonitor": {"screen": "screen"},
}
"""Object class -> part name -> its names in the files, without the numbers (``wheel_2`` is a wheel)."""

CLASSES = tuple(PART_NAMES)
_SPELLED = {
    thing: {spelled: name for name, spellings in names.items() for spelled in spellings.split()}
    for thing, names in PART_NAMES.items()
}
_SYNONYMS = {"table": "diningtable"}


class PascalPartReader:
    """Reads one file per image.

    Args:
        folder: holds the ``.mat`` files; relative to the image folder.
    """

    strays: tuple[Stray, ...] = ()

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth:
        """Objects and parts as listed; an object may have no parts. Raises ImageFault."""
        listed = _parse(load(f"{self._folder}/{PurePosixPath(key).stem}.mat"))
        shape = np.shape(listed[0][1]) if listed else (0, 0)
        objects = tuple(_object(name, mask, parts, shape) for name, mask, parts in listed)
        # Unpacked last: the masks have been checked, so the shape has two sides.
        height, width = shape
        return Truth(height, width, objects)


def part_name(thing: str, spelled: str) -> str:
    """The name of a part without its side and number: (bird, ``lwing``) -> wing.

    Raises:
        ImageFault: if the class has no such part.
    """
    try:
        return _SPELLED[thing][spelled.split("_")[0]]
    except KeyError:
        raise ImageFault("unknown_part", f"{spelled!r} is not a part of {thing}") from None


def images(root: Path, split: str) -> Iterator[tuple[str, str]]:
    """(key, "") of the images of a split; an image has no class of its own, because it shows several objects.

    Raises:
        UsageError: if ``ImageSets/Main/<split>.txt`` is missing, or one of its lines is not the id of an image.
    """
    place = _place(root, split)
    path = root / place / f"ImageSets/Main/{split}.txt"
    for number, line in read_lines(path):
        name = line.split()[0] if line.strip() else ""
        if "/" in name or "\\" in name:
            raise UsageError(f"expected the id of an image, found {line!r}", f"{path}, line {number}", "Fix the line")
        if name:
            yield f"{place}JPEGImages/{name}.jpg", ""


def classes(root: Path, splits: Sequence[str]) -> list[tuple[str, str]]:
    """(code, name) of the 20 classes; their names are their codes."""
    return [(name, name) for name in CLASSES]


def settings(root: Path, splits: Sequence[str]) -> dict[str, Any]:
    """Settings of the ground-truth nodes. Raises UsageError if there is no folder with ``.mat`` files."""
    place = _place(root, splits[0])
    for folder in [*_FOLDERS, *(f"{place}{name}" for name in _FOLDERS)]:
        if next((root / folder).glob("*.mat"), None):
            return {"format": "pascal_part", "folder": folder}
    problem = f"there is no folder {_FOLDERS[0]} with .mat files here"
    raise UsageError(problem, str(root), "Put it here, or link to it")


def _place(root: Path, split: str) -> str:
    for place in _PLACES:
        if (root / place / f"ImageSets/Main/{split}.txt").is_file():
            return place
    fix = "Name the folder of VOC2012, which contains ImageSets, JPEGImages and Annotations_Part: --images DIR"
    raise UsageError(f"there is no ImageSets/Main/{split}.txt here", str(root), fix)


def _parse(data: bytes) -> list[tuple[str, Any, list[tuple[str, Any]]]]:
    """[(class, mask, [(part_name, mask)])]. Raises ImageFault."""
    # Imported here, so that code that only lists images, such as `pd status`, does not wait for it.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        check_mat(data)
        listed = loadmat(io.BytesIO(data), variable_names=["anno"])["anno"]["objects"][0, 0].ravel()
        return [(_word(thing["class"]), thing["mask"], _parts(thing["parts"])) for thing in listed]
    except (*MALFORMED, MatReadError) as error:
        detail = f"expected a struct anno with objects and their parts, found {type(error).__name__}: {error}"
        raise ImageFault("damaged", detail) from None


def _object(name: str, mask: Any, parts: list[tuple[str, Any]], shape: tuple[int, ...]) -> TrueObject:
    name = _SYNONYMS.get(name, name)
    if name not in PART_NAMES:
        raise ImageFault("unknown_class", f"{name!r} is not one of the {len(CLASSES)} classes of PASCAL VOC")
    named = tuple(TruePart(part_name(name, part), _encode(drawn, shape, part)) for part, drawn in parts)
    return TrueObject(name, _encode(mask, shape, name), named)


def _parts(parts: npt.NDArray[Any]) -> list[tuple[str, Any]]:
    """[(part_name, mask)]; for an object without parts, the array is empty and not a struct."""
    return [(_word(part["part_name"]), part["mask"]) for part in parts.ravel()]


def _word(value: npt.NDArray[Any]) -> str:
    return str(value.item())


def _encode(mask: Any, shape: tuple[int, ...], what: str) -> bytes:
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.shape != shape or 0 in shape:
        detail = f"expected masks (height, width) of equal size, found {np.shape(mask)} for {what}"
        raise ImageFault("damaged", detail)
    return masks.encode(mask[None])[0]
