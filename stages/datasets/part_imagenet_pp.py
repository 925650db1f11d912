"""PartImageNet++: the parts of all 1,000 classes of ImageNet-1K, on 100 photographs of each, in three published forms.

- ``json/<wnid>.json``: one COCO JSON per class, whose categories are the parts of the class.
- ``Pin++_<split>.json``: JSON like that of PACO, whose categories read ``<object>`` or ``<object>:<part>``.
- ``seg/<wnid>/<name>.png`` next to ``img/<wnid>/<name>.JPEG``: the number of a part in each pixel; see part_numbers.py.

The object of an image is the union of its parts, unless it has a mask of its own. Sources: ``partdataset.py``,
``classinfo_1k_pp.py`` and ``Benchmark/segmentation`` of ``LixiaoTHU/PartImageNetPP``, and the data set's own page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from pdstore.errors import CorruptData, UsageError
from stages.datasets.paco import read_index
from stages.datasets.paco_json import PacoReader, split_category, suffixes
from stages.datasets.part_numbers import (
    NAMES,
    TABLE,
    WNID,
    ClassNames,
    LabelMapReader,
    find_wnid,
    object_name,
    read_counts,
    read_names,
)
from stages.datasets.truth import Reader, Stray, Truth
from stages.source.images import ImageFault

__all__ = ["ClassFileReader", "classes", "images", "reader", "settings", "split_of"]

_SPLIT_FILES = ("Pin++_{split}.json", "annotations/Pin++_{split}.json", "PIN++/Pin++_{split}.json")
_SPLITS = ("train", "val", "test")
_PLACES = ("img/", "", "images/", "train/", "ILSVRC/Data/CLS-LOC/train/", "Data/CLS-LOC/train/")
"""Where the class folders may lie under the image folder; all images are training images of ImageNet."""
_SUFFIXES = (".JPEG", ".JPG", ".jpeg", ".jpg", ".png")


class ClassFileReader:
    """Reads one JSON per class, from ``folder``, which is relative to the image folder."""

    strays: tuple[Stray, ...] = ()

    def __init__(self, folder: str, names: Mapping[str, ClassNames]) -> None:
        self._folder, self._names = folder, names

    def read(self, key: str, load: Callable[[str], bytes]) -> Truth | None:
        """The object and its parts, or None if the file of the class does not list the image. Raises ImageFault.

        Cost: the whole file of the class is parsed for each image, about ten milliseconds: a block holds images of
        most classes, and all of the files would fill the memory.
        """
        wnid = find_wnid(key)
        path = f"{self._folder}/{wnid}.json"
        owner = object_name(wnid, self._names).lower()

        def category(name: str) -> tuple[str, str]:
            thing, part = split_category(name)
            return (owner, part) if part else (owner, thing)

        one = PacoReader(is_linked=False, is_own_class=True, category=category)
        try:
            one.add(Path(path), json.loads(load(path)))
        except CorruptData as error:
            raise ImageFault("damaged", f"{path}: {error.problem}") from None
        except (ValueError, RecursionError) as error:
            raise ImageFault("damaged", f"{path}: expected JSON, found {error}") from None
        truth = one.read(key, load)
        # An annotation of no image is reported once: with the first image of the file.
        if truth and one.strays and one.names[0] in suffixes(key):
            strays = [("bad_annotation", f"{stray.subject}: {stray.detail}") for stray in one.strays]
            truth = replace(truth, left_out=(*truth.left_out, *strays))
        return truth


def reader(folder: str, paths: Sequence[Path]) -> Reader:
    """The reader of one of the three forms; see :func:`settings`. Raises CorruptData if a table is damaged."""
    if not folder:
        return PacoReader(paths, is_linked=False, is_own_class=True)
    names = next((read_names(path) for path in paths if path.name == NAMES), {})
    table = next((path for path in paths if path.name == TABLE), None)
    return LabelMapReader(folder, read_counts(table), names) if table else ClassFileReader(folder, names)


def images(root: Path, split: str) -> Iterator[tuple[str, str]]:
    """(key, WordNet code) of the images of a split; a missing image gets the key that it should have.

    Raises:
        UsageError: if the folder has none of the three forms.
        CorruptData: if a JSON file is damaged, or that of a class lists an image of another class.
    """
    if _has_split_files(root):
        for name in read_index(root / _split_file(root, split)).names:
            yield _place(root, find_wnid(name), PurePosixPath(name).name), find_wnid(name)
        return
    own = f"{split}/" if _has_split_folders(root) else ""
    for wnid, names in _by_class(root, own):
        chosen = names if own else [name for name, its in split_of(names).items() if its == split]
        yield from ((_place(root, wnid, name, own), wnid) for name in sorted(chosen))


def classes(root: Path, splits: Sequence[str]) -> list[tuple[str, str]]:
    """(WordNet code, name of the object) of the classes of these splits; without a name, it is the code."""
    found: dict[str, str] = {}
    if _has_split_files(root):
        for split in splits:
            index = read_index(root / _split_file(root, split))
            for name in index.names:
                votes = index.owners.get(name)
                found.setdefault(find_wnid(name), find_wnid(name))
                if votes and found[find_wnid(name)] == find_wnid(name):
                    found[find_wnid(name)] = max(votes, key=lambda owner: (votes[owner], owner))
    else:
        names = read_names(root / NAMES) if (root / NAMES).is_file() else {}
        for own in [f"{split}/" for split in splits] if _has_split_folders(root) else [""]:
            found |= {wnid: object_name(wnid, names) for wnid, _ in _by_class(root, own)}
    return sorted(found.items())


def settings(root: Path, splits: Sequence[str]) -> dict[str, Any]:
    """Settings of the ground-truth nodes: the files of the splits, or a folder and its tables. Raises UsageError."""
    if _has_split_files(root):
        return {"format": "part_imagenet_pp", "file": [f"{{images}}/{_split_file(root, split)}" for split in splits]}
    names = [f"{{images}}/{NAMES}"] if (root / NAMES).is_file() else []
    if _class_files(root):
        return {"format": "part_imagenet_pp", "folder": "json", "file": names}
    if not (root / TABLE).is_file():
        problem = f"there is no table {TABLE}, which says what the numbers in the folder seg mean"
        raise UsageError(problem, str(root), "Put the table of the authors here")
    return {"format": "part_imagenet_pp", "folder": "seg", "file": [f"{{images}}/{TABLE}", *names]}


def split_of(names: Iterable[str]) -> dict[str, str]:
    """Name of an image file -> its split, for the images of one class: the forms without splits are divided by us.

    One image in ten is ``val`` and one in ten ``test``, by a hash of the names; at least one each, if there are three.
    """
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    tenth = max(1, len(order) // 10)
    num_val, num_test = tenth * (len(order) > 1), tenth * (len(order) > 2)
    splits = ["val"] * num_val + ["test"] * num_test
    return dict(zip(order, splits + ["train"] * (len(order) - len(splits)), strict=True))


def _by_class(root: Path, own: str) -> Iterator[tuple[str, list[str]]]:
    """(WordNet code, names of its image files) by the JSON of each class, or by the folders of one split."""
    listed = _class_files(root)
    for path in listed:
        names = read_index(path).names
        if others := [name for name in names if find_wnid(name) != path.stem]:
            raise CorruptData(f"the file of one class lists an image of another: {others[0]}", str(path))
        yield path.stem, [PurePosixPath(name).name for name in names]
    folders = {f.name for kind in ("img", "seg") for f in (root / own / kind).glob("n*") if WNID.fullmatch(f.name)}
    if not (listed or folders or own):
        problem = "there is no json/<wnid>.json, Pin++_<split>.json or seg/<wnid>/<name>.png here"
        raise UsageError(problem, str(root), "Name the folder of PartImageNet++: --images DIR")
    for wnid in [] if listed else sorted(folders):
        photographs = [f for f in (root / own / "img" / wnid).glob("*") if f.suffix in _SUFFIXES]
        # A label map without its photograph is listed, so that reading the images reports it.
        lone = {f.stem for f in (root / own / "seg" / wnid).glob("*.png")} - {f.stem for f in photographs}
        yield wnid, [f.name for f in photographs] + [f"{stem}.JPEG" for stem in lone]


def _class_files(root: Path) -> list[Path]:
    return sorted(path for path in (root / "json").glob("n*.json") if WNID.fullmatch(path.stem))


def _place(root: Path, wnid: str, name: str, own: str = "") -> str:
    places = [f"{own}{place}{wnid}/{name}" for place in _PLACES]
    return next((key for key in places if (root / key).is_file()), places[0])


def _has_split_files(root: Path) -> bool:
    return any((root / place.format(split=split)).is_file() for place in _SPLIT_FILES for split in _SPLITS)


def _has_split_folders(root: Path) -> bool:
    return not _class_files(root) and any((root / split / "seg").is_dir() for split in _SPLITS)


def _split_file(root: Path, split: str) -> str:
    places = [place.format(split=split) for place in _SPLIT_FILES]
    found = next((place for place in places if (root / place).is_file()), None)
    if found is None:
        raise UsageError(f"there is no {places[0]} or {places[1]} here", str(root), "Put it next to the other splits")
    return found
