"""PACO-LVIS: 75 objects and 456 kinds of parts on photographs of COCO, with one JSON per split.

A ``file_name`` reads ``train2017/<number>.jpg``, whatever the split. Sources: the page on the data set and
``paco_categories.py`` in ``facebookresearch/paco``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pdstore.errors import UsageError
from stages.datasets.coco import read_content
from stages.datasets.paco_json import by_id, not_paco, short_name, split_category
from stages.datasets.truth import MALFORMED

__all__ = ["PacoIndex", "classes", "images", "read_index", "settings"]

_FILES = ("{name}.json", "annotations/{name}.json", "annotations/paco/{name}.json", "paco/annotations/{name}.json")
_NAME = "paco_lvis_v1_{split}"
_PLACES = ("", "images/", "coco/", "coco/images/")
"""Where the folders train2017 and val2017 of COCO may lie under the image folder."""


@dataclass(frozen=True)
class PacoIndex:
    """What the listing needs from a JSON file.

    Attributes:
        names: folder and name of each image file, in listed order.
        objects: published name of each object -> smallest id of its category.
        owners: image -> object in words -> how many annotations of the image are of it or of its parts.
    """

    names: tuple[str, ...]
    objects: Mapping[str, int]
    owners: Mapping[str, Mapping[str, int]]


def images(root: Path, split: str) -> Iterator[tuple[str, str]]:
    """(key, "") of the images of a split; an image has no class of its own, because it shows several objects.

    Raises:
        UsageError: if there is no JSON file for the split.
        CorruptData: if the file is not of this kind.
    """
    for name in read_index(root / _json(root, split)).names:
        places = [f"{place}{name}" for place in _PLACES]
        yield next((key for key in places if (root / key).is_file()), places[0]), ""


def classes(root: Path, splits: Sequence[str]) -> list[tuple[str, str]]:
    """(published name, name in words) of the objects, in the order of their ids in the first file that has them."""
    numbered: dict[str, int] = {}
    for split in splits:
        for name, number in read_index(root / _json(root, split)).objects.items():
            numbered.setdefault(name, number)
    ordered = sorted(numbered, key=lambda name: (numbered[name], name))
    return [(name, split_category(name)[0]) for name in ordered]


def settings(root: Path, splits: Sequence[str]) -> dict[str, Any]:
    """Settings of the ground-truth nodes. Raises UsageError if a split has no JSON file."""
    return {"format": "paco", "file": [f"{{images}}/{_json(root, split)}" for split in splits]}


def read_index(path: Path) -> PacoIndex:
    """The listing of a file, read again only if the file has changed. Raises CorruptData."""
    status = path.stat()
    return _read_index(path, status.st_size, status.st_mtime_ns)


# PartImageNet++ has a thousand small files of this kind.
@lru_cache(maxsize=1024)
def _read_index(path: Path, size: int, mtime_ns: int) -> PacoIndex:
    content = read_content(path)
    owners: dict[str, dict[str, int]] = {}
    objects: dict[str, int] = {}
    try:
        names = {i: short_name(image["file_name"]) for i, image in by_id(path, content["images"]).items()}
        categories = {i: str(c["name"]) for i, c in by_id(path, content["categories"]).items()}
        for number, name in sorted(categories.items()):
            if ":" not in name:
                objects.setdefault(name, int(number))
        for annotation in content["annotations"]:
            # A malformed annotation is reported with its image when the ground truth is read.
            if isinstance(annotation, dict):
                image_id, category = (annotation.get(key) for key in ("image_id", "category_id"))
                if image_id in names and category in categories:
                    counts = owners.setdefault(names[image_id], {})
                    owner = split_category(categories[category])[0]
                    counts[owner] = counts.get(owner, 0) + 1
    except MALFORMED as error:
        raise not_paco(path, error) from None
    return PacoIndex(tuple(dict.fromkeys(names.values())), objects, owners)


def _json(root: Path, split: str) -> str:
    name = _NAME.format(split=split)
    for place in _FILES:
        if (root / place.format(name=name)).is_file():
            return place.format(name=name)
    fix = "Name the folder that contains the JSON files of PACO and the folders train2017 and val2017: --images DIR"
    raise UsageError(f"there is no {name}.json or annotations/{name}.json here", str(root), fix)
