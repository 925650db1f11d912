"""PartImageNet: photographs of ImageNet and one COCO JSON per split, whose file names lack the folder of the class.

The class of an image is its WordNet code, as in the reference ``part_imagenet_mapper.py``. The name of that class is
its super-category (quadruped, car, …), which also names the parts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from pdstore.errors import CorruptData, UsageError
from stages.datasets.coco import CocoReader, by_id, read_content
from stages.datasets.file_names import clean
from stages.datasets.part_names import split_name

__all__ = ["classes", "images", "reader", "settings"]

_WNID = re.compile(r"n\d{8}(?=_)")
_FILES = ("{split}.json", "annotations/{split}.json", "annotations/{split}/{split}.json")
_PLACES = (
    "{split}/{wnid}/{name}",
    "{split}/{name}",
    "images/{split}/{wnid}/{name}",
    "images/{split}/{name}",
    "train/{wnid}/{name}",
)
"""Where an image may lie under the image folder; the last place is ImageNet itself, since all are training images."""


@dataclass(frozen=True)
class _Index:
    """What the listing needs from a JSON file: its images, and the super-category of each WordNet code."""

    names: tuple[str, ...]
    categories: Mapping[str, str]


def reader(paths: Iterable[Path]) -> CocoReader:
    """Images are identified by their file name alone, and every object is of its image's class."""
    return CocoReader(paths, name=_file_name, is_own_class=True)


def images(root: Path, split: str) -> Iterator[tuple[str, str]]:
    """(key, WordNet code) of the images of a split; a missing image gets the key that it should have.

    Raises:
        UsageError: if there is no JSON file for the split.
        CorruptData: if the file is not COCO JSON.
    """
    for name in _index(root, split).names:
        wnid = _wnid(name)
        places = [place.format(split=split, wnid=wnid, name=_file_name(name)) for place in _PLACES]
        yield next((key for key in places if (root / key).is_file()), places[0]), wnid


def classes(root: Path, splits: Sequence[str]) -> list[tuple[str, str]]:
    """(WordNet code, super-category) of the classes of these splits; without annotations, the name is the code."""
    named: dict[str, str] = {}
    for split in splits:
        index = _index(root, split)
        named |= {wnid: wnid for name in index.names if (wnid := _wnid(name)) and wnid not in named}
        named |= index.categories
    return sorted(named.items())


def settings(root: Path, splits: Sequence[str]) -> dict[str, Any]:
    """Settings of the ground-truth nodes. Raises UsageError if a split has no JSON file."""
    return {"format": "part_imagenet", "file": [f"{{images}}/{_json(root, split)}" for split in splits]}


def _json(root: Path, split: str) -> str:
    for place in _FILES:
        if (root / place.format(split=split)).is_file():
            return place.format(split=split)
    fix = "Name the folder that contains the JSON files and the images of PartImageNet: --images DIR"
    raise UsageError(f"there is no {split}.json or annotations/{split}.json here", str(root), fix)


def _index(root: Path, split: str) -> _Index:
    path = root / _json(root, split)
    status = path.stat()
    return _read_index(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=3)
def _read_index(path: Path, size: int, mtime_ns: int) -> _Index:
    content = read_content(path)
    votes: dict[str, Counter[str]] = {}
    try:
        names = {
            n: str(image["file_name"]) for n, image in by_id(content["images"], path, "image", "file_name").items()
        }
        owners = {n: split_name(c)[0] for n, c in by_id(content["categories"], path, "category", "name").items()}
        for annotation in content["annotations"]:
            # A malformed annotation is reported with its image when the ground truth is read.
            if isinstance(annotation, dict):
                name, owner = names.get(annotation.get("image_id"), ""), owners.get(annotation.get("category_id"), "")
                votes.setdefault(_wnid(name), Counter()).update([owner] if owner else [])
    except (KeyError, TypeError, AttributeError) as error:
        problem = f"the file is not COCO JSON with images, categories and annotations ({type(error).__name__}: {error})"
        raise CorruptData(problem, str(path), "Fix the file") from None
    categories = {wnid: votes[wnid].most_common(1)[0][0] for wnid in sorted(votes) if wnid and votes[wnid]}
    return _Index(tuple(names.values()), categories)


def _wnid(name: str) -> str:
    """``n02085620_1.JPEG`` -> n02085620; empty if the name does not begin with a code."""
    match = _WNID.match(_file_name(name))
    return match.group() if match else ""


def _file_name(key: str) -> str:
    return PurePosixPath(clean(key)).name
