"""Split and class of each folder of images, from the shape of the whole tree: a pure function of the folders' names.

A split folder is known by its name and by what lies beside and below it. ``train`` beside ``val`` is a split; ``train``
beside ``bus`` and ``car`` is a class; ``train`` beside ``bus`` alone can be either, and that is an error.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from pdstore.errors import UsageError

__all__ = ["OUTSIDE", "WORDNET", "Place", "Reading", "arrange", "split_of"]

WORDNET = re.compile(r"n\d{8}")
"""A WordNet code, which always names a class."""
OUTSIDE = ""
"""The split of a folder that lies beside the folders of all splits."""
Reading = Literal["", "splits", "classes"]
Path = tuple[str, ...]

_SPLITS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
_FILLERS = {
    "set",
    "data",
    "dataset",
    "images",
    "image",
    "img",
    "imgs",
    "split",
    "ilsvrc",
    "imagenet",
    "coco",
    "large",
    "seg",
}
"""Words that may stand beside the name of a split: ``train_images``, ``test_set``, ``ILSVRC2012_img_val``."""
_PICTURES = {"images", "image", "img", "imgs", "jpegimages", "jpg", "jpeg", "jpgs", "png", "pngs", "rgb", "leftimg8bit"}
"""Folders that only say that images lie in them; with class folders beside them they are classes."""
_ANNOTATIONS = {
    *("annotations", "annotation", "masks", "mask", "labels", "label", "seg", "segmentation", "segmentations"),
    *("segmentationclass", "segmentationobject", "segmentationclassaug", "segmentationclassraw", "trimaps"),
    *("gtfine", "gtcoarse", "gtfinepanopticparts", "gt", "groundtruth", "ground_truth"),
}
"""Folders whose pictures are masks, if a folder of images lies beside them."""


class Place(NamedTuple):
    """What a folder says of the images in it: their split, and the code or name of their class (or "")."""

    split: str
    code: str


def split_of(name: str) -> str:
    """``train``, ``val`` or ``test`` for the name of a split folder, in any spelling; "" for other names."""
    words = re.findall(r"[a-z]+", name.lower())
    if len(words) == 1 and words[0].endswith("set"):
        words = [words[0][: -len("set")]]
    found = [_SPLITS[word] for word in words if word in _SPLITS]
    return found[0] if len(found) == 1 and all(word in _SPLITS or word in _FILLERS for word in words) else ""


def arrange(folders: Iterable[str], reading: Reading = "", where: str = "") -> dict[str, Place | None]:
    """Folder -> its place, for all folders that hold images, or None for a folder of masks.

    Folders are relative paths, "" for the root. Cost: linear in the number of folders.

    Args:
        reading: what a folder is that can be a split or a class; "" makes this an error.
        where: the root, for the error.

    Raises:
        UsageError: the tree can be read in two ways.
    """
    paths = {folder: tuple(folder.split("/")) if folder else () for folder in folders}
    full = _Tree(paths.values())
    kept = {folder: path for folder, path in paths.items() if not full.is_mask_folder(path)}
    tree = _Tree(kept.values())
    depths = tree.split_depths(reading, where)
    splits = {path: next((n for n in range(len(path)) if path[: n + 1] in depths), None) for path in kept.values()}
    places = _Classes(tree, splits, where).places()
    return {folder: places[path] if folder in kept else None for folder, path in paths.items()}


class _Tree:
    """The folders that hold images, and all folders above them."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = set(paths)
        self.children: dict[Path, set[str]] = defaultdict(set)
        for path in self.paths:
            for n in range(len(path)):
                self.children[path[:n]].add(path[n])

    def is_generic(self, path: Path) -> bool:
        """Whether a folder only says that images lie in it: ``images``, with nothing but masks beside it."""
        if path[-1].lower() not in _PICTURES:
            return False
        return all(name.lower() in _PICTURES | _ANNOTATIONS for name in self.children[path[:-1]])

    def is_mask_folder(self, path: Path) -> bool:
        """Whether some folder on the way is named like annotations and lies beside a folder named like images."""
        return any(
            path[n].lower() in _ANNOTATIONS
            and any(name.lower() in _PICTURES for name in self.children[path[:n]])
            and all(name.lower() in _PICTURES | _ANNOTATIONS for name in self.children[path[:n]])
            for n in range(len(path))
        )

    def kids(self, path: Path) -> set[str]:
        """The folders below that can be classes: those in ``images`` or in ``train/train`` count as its own."""
        found = set()
        for name in self.children.get(path, ()):
            below = (*path, name)
            wraps = len(self.children[path]) == 1 and path and split_of(name) and split_of(name) == split_of(path[-1])
            found |= self.kids(below) if self.is_generic(below) or wraps else {name}
        return found

    def split_depths(self, reading: Reading, where: str) -> set[Path]:
        """The paths of all split folders. Folders that lie equally deep under one folder are judged together."""
        found: set[Path] = set()
        waiting: list[list[Path]] = [[()]]
        while waiting:
            cousins = waiting.pop()
            below = [(*path, name) for path in cousins for name in sorted(self.children.get(path, ()))]
            named = [path for path in below if split_of(path[-1])]
            others = [path for path in below if not split_of(path[-1])]
            if named and _Evidence(self, named, others).are_splits(reading, where):
                found.update(named)
                below = others
            if below:
                waiting.append(below)
        return found


@dataclass(frozen=True)
class _Evidence:
    """Folders named like splits, and the others that lie as deep as they do."""

    tree: _Tree
    named: Sequence[Path]
    others: Sequence[Path]

    @cached_property
    def is_certain(self) -> bool | None:
        """Whether the named folders are splits; None if both readings make sense."""
        splits, names = {split_of(path[-1]) for path in self.named}, {path[-1] for path in self.others}
        kids = set().union(*map(self.tree.kids, self.named))
        cousins = set().union(*map(self.tree.kids, self.others)) if self.others else set()
        is_wordnet = any(map(WORDNET.fullmatch, kids)) or (names and all(map(WORDNET.fullmatch, names)))
        if not names or is_wordnet or (kids and (len(splits) > 1 or kids & names)):
            return True
        if any(split_of(name) for name in cousins):
            return True
        if kids and not cousins:
            return True
        has_many = len(names) > max(1, len(splits)) and "val" not in splits
        return False if has_many and (not kids or kids & cousins) else None

    def are_splits(self, reading: Reading, where: str) -> bool:
        """Raises UsageError if that cannot be said, and ``reading`` does not say it."""
        if reading == "classes":
            return False
        if reading == "splits" or self.is_certain is not None:
            return bool(reading) or bool(self.is_certain)
        name = "/".join(self.named[0])
        beside = ", ".join(sorted({path[-1] for path in self.others})[:3])
        problem = (
            f"the folder {name} can be read in two ways: as the split {split_of(self.named[0][-1])!r}, with {beside}"
            f" beside it, or as a class named {self.named[0][-1]!r}, like {beside}"
        )
        raise UsageError(problem, where, "Say which it is: --read-as splits or --read-as classes")


class _Classes:
    """The class of every folder, once the splits are known."""

    def __init__(self, tree: _Tree, splits: dict[Path, int | None], where: str) -> None:
        self.tree, self.splits, self.where = tree, splits, where
        names = {path: split_of(path[n]) for path, n in splits.items() if n is not None}
        self.names = names
        parents = {path[:n] for path, n in splits.items() if n is not None}
        self.above_splits = {parent[:n] for parent in parents for n in range(len(parent) + 1)}
        self.is_wordnet = {
            split: any(any(map(WORDNET.fullmatch, path)) for path in paths)
            for split, paths in _grouped((names.get(path, ""), path) for path in splits).items()
        }

    def places(self) -> dict[Path, Place]:
        loose = [path for path, n in self.splits.items() if n is None and path not in self.above_splits]
        codes = self._unsplit_classes(loose)
        has_train = "train" in self.names.values()
        found = {}
        for path, n in self.splits.items():
            if n is not None:
                found[path] = Place(self.names[path], self._class_in_split(path, n))
            elif path in self.above_splits:  # directly in a folder that also holds splits
                found[path] = Place("train", "")
            else:
                found[path] = Place(OUTSIDE if has_train else "train", codes[path])
        return found

    def _class_in_split(self, path: Path, n: int) -> str:
        code = _code(path)
        if code:
            return code
        if not self.is_wordnet[self.names[path]] and any(self.is_wordnet.values()):
            # Beside splits of WordNet codes, a folder such as test/unknown is no class.
            return ""
        below = self._meaningful(path, n + 1)
        while below and split_of(below[0]) == self.names[path] and len(self.tree.children[path[: n + 1]]) == 1:
            below = below[1:]  # train/train, as some archives unpack
        if below:
            return below[0]
        # cat/train/1.jpg: the folder above, if it is one of several.
        for end in range(n, 0, -1):
            if len(self.tree.children[path[: end - 1]]) > 1 and not split_of(path[end - 1]):
                return path[end - 1]
        return ""

    def _unsplit_classes(self, paths: Sequence[Path]) -> dict[Path, str]:
        """The classes of folders that lie in no split: the only level of folders that is not the same for all."""
        shared = self._shared(paths)
        rest = {path: self._meaningful(path, shared) for path in paths}
        codes = {path: _code(path) or (names[0] if names else "") for path, names in rest.items()}
        nested = sorted(path for path, names in rest.items() if len(names) > 1 and not _code(path))
        for path in nested:
            top = path[: path.index(rest[path][0], shared) + 1]
            if top not in self.tree.paths:
                first, last = rest[path][0], rest[path][-1]
                problem = f"the folder {'/'.join(path)} can be read in two ways: as class {first!r} or class {last!r}"
                fix = "Name the images and their classes: --list FILE, with 'key<TAB>class' on each line"
                raise UsageError(problem, self.where, fix)
        return codes

    def _shared(self, paths: Collection[Path]) -> int:
        """How many folders at the start are the same for all and hold nothing else: the wrapping of an archive."""
        first = min(paths, default=())
        count = 0
        while count + 1 < len(first) and all(len(p) > count + 1 and p[count] == first[count] for p in paths):
            count += 1
        return count

    def _meaningful(self, path: Path, start: int) -> Path:
        return tuple(path[i] for i in range(start, len(path)) if not self.tree.is_generic(path[: i + 1]))


def _code(path: Path) -> str:
    """The innermost WordNet code of a path, or ""."""
    return next((name for name in reversed(path) if WORDNET.fullmatch(name)), "")


def _grouped(pairs: Iterable[tuple[str, Path]]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for name, path in pairs:
        groups[name].append(path)
    return groups
