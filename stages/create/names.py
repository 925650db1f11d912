"""What published files say of classes: their names, and the classes of images that lie in no class folder.

Files are known by the names under which ImageNet, Kaggle and tiny-imagenet publish them.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pdstore.errors import CorruptData, UsageError
from stages.create.shape import WORDNET
from stages.source.matlab_files import check_mat
from stages.source.text_files import read_lines

__all__ = ["ClassFiles", "a_few", "listed_splits"]

_SYNSETS = re.compile(r"\bn\d{8}\b")
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_LISTED = ("LOC_synset_mapping.txt", "synset_words.txt")
_CODES = ("synsets.dat", "wnids.txt")
_PUBLISHED = {*_LISTED, *_CODES, "words.txt", "meta.mat", _TRUTH, "LOC_val_solution.csv", "val_annotations.txt"}
_HEADINGS = {"wnid", "id", "class", "class_id", "code", "synset", "folder", "label", "key", "name"}
_DEPTH = 2
"""How many folders below the root published files are looked for; folders of classes are not searched."""


def a_few(codes: Iterable[str]) -> str:
    """At most five of them, and how many more there are."""
    listed = list(codes)
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return f"{listed[:5]}{more}"


def listed_splits(folder: Path) -> dict[str, str]:
    """Name of an image without its ending -> its split, by the lists in ``ImageSets`` beside VOC's ``JPEGImages``.

    An image that some list holds out is held out, even if another has it in ``train``.
    """
    if folder.name != "JPEGImages":
        return {}
    found: dict[str, str] = {}
    for split in ("test", "val", "train"):
        for path in sorted((folder.parent / "ImageSets").glob(f"*/{split}.txt")):
            names = (line.split()[0] for _, line in read_lines(path) if line.strip())
            found = dict.fromkeys(names, split) | found
    return found


@dataclass(frozen=True)
class ClassFiles:
    """The files of an image folder that say something of classes.

    Attributes:
        labels: the file with one ``code,name`` per line, if there is one.
        published: name -> path of the files that are known by their names.
    """

    labels: Path | None
    published: Mapping[str, Path]

    @classmethod
    def find(cls, root: Path, named: str, codes: Iterable[str]) -> ClassFiles:
        """Those in the image folder, and before them ``named``: a file with names, or a folder such as the devkit.

        The folder is searched for published files only if one of the ``codes`` is WordNet's: that reads it again.

        Raises:
            UsageError: there is no such file or folder.
        """
        root = root if root.is_dir() else root.parent
        own = root / "labels.txt"
        labels, published = own if own.exists() else None, dict[str, Path]()
        if any(map(WORDNET.fullmatch, codes)):
            published = _search(root)
        if named:
            path = Path(named)
            if not path.exists():
                raise UsageError("there is no such file of class names", named, "Check the path after --labels")
            if path.is_dir():
                inside = path / "labels.txt"
                labels, published = inside if inside.exists() else labels, published | _search(path)
            elif path.name in _PUBLISHED:
                labels, published = None, published | {path.name: path}
            else:
                labels = path
        return cls(labels, published)

    def names(self, codes: list[str]) -> tuple[dict[str, str], str]:
        """(code -> name of the whole vocabulary in order, the file that says so); empty if no file names classes.

        Args:
            codes: the classes that there are. Published files are read only if one of them is a WordNet code.

        Raises:
            UsageError: a line of the file is wrong.
        """
        if self.labels:
            return _read_labels(self.labels, set(codes)), str(self.labels)
        if not any(map(WORDNET.fullmatch, codes)):
            return {}, ""
        for name in _LISTED:
            if name in self.published:
                return _read_words(self.published[name]), str(self.published[name])
        if "meta.mat" in self.published:
            synsets = _read_synsets(self.published["meta.mat"])
            return dict(sorted(synsets.values())), str(self.published["meta.mat"])
        if "words.txt" in self.published:
            words = _read_words(self.published["words.txt"])
            order = next((_read_codes(self.published[n]) for n in _CODES if n in self.published), sorted(codes))
            return {code: words[code] for code in order if code in words}, str(self.published["words.txt"])
        return {}, ""

    def truth(self) -> dict[str, str]:
        """Name of a validation image without its ending -> code of its class.

        Raises:
            UsageError: a line of the file is wrong.
            CorruptData: ``meta.mat`` cannot be read.
        """
        if "LOC_val_solution.csv" in self.published:
            return _read_solution(self.published["LOC_val_solution.csv"])
        if "val_annotations.txt" in self.published:
            path = self.published["val_annotations.txt"]
            rows = (line.split("\t") for _, line in read_lines(path) if line.strip())
            return {PurePosixPath(row[0]).stem: row[1] for row in rows if len(row) > 1}
        if _TRUTH in self.published and "meta.mat" in self.published:
            return _read_truth(self.published[_TRUTH], _read_synsets(self.published["meta.mat"]))
        return {}

    @property
    def lacks_meta(self) -> bool:
        """Whether the devkit's list of classes by number is here, but not the file that says what the numbers mean."""
        return _TRUTH in self.published and "meta.mat" not in self.published


def _search(root: Path) -> dict[str, Path]:
    """The nearest published file of each name."""
    found: dict[str, Path] = {}
    level = [root]
    for _ in range(_DEPTH + 1):
        below = []
        for folder in level:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda e: e.name):
                    if entry.name in _PUBLISHED:
                        found.setdefault(entry.name, folder / entry.name)
                    elif not (entry.name.startswith(".") or WORDNET.fullmatch(entry.name)) and entry.is_dir():
                        below.append(folder / entry.name)
        level = below
    return found


def _read_labels(path: Path, codes: set[str]) -> dict[str, str]:
    """``code,name`` per line, by the rules of CSV; a heading is skipped."""
    named: dict[str, str] = {}
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            fields = [field.strip() for field in next(csv.reader([line], skipinitialspace=True, strict=True))]
        except csv.Error as error:
            raise UsageError(f"the quotes do not close: {error!s}", f"{path}, line {number}", "Fix the line") from None
        if not named and fields[0].lower() in _HEADINGS and fields[0] not in codes:
            continue
        if len(fields) != 2 or not all(fields):
            fix = (
                'Put a name that has commas into quotes: n02012849,"crane, bird"' if len(fields) > 2 else "Fix the line"
            )
            raise UsageError(f"expected 'wnid,name', found {line!r}", f"{path}, line {number}", fix)
        if fields[0] in named:
            raise UsageError(f"the class {fields[0]} has two lines", f"{path}, line {number}", "Remove one of them")
        named[fields[0]] = fields[1]
    return named


def _read_words(path: Path) -> dict[str, str]:
    """``n01440764 tench, Tinca tinca`` per line: the first of the words is the name."""
    named: dict[str, str] = {}
    for number, line in read_lines(path):
        if not line.strip():
            continue
        code, _, words = line.strip().replace("\t", " ", 1).partition(" ")
        name = words.split(",")[0].strip()
        if not (WORDNET.fullmatch(code) and name):
            problem = f"expected a WordNet code and its words, found {line!r}"
            raise UsageError(problem, f"{path}, line {number}", "Take the file as it was published")
        named.setdefault(code, name)
    return named


def _read_codes(path: Path) -> list[str]:
    found = (_SYNSETS.search(line) for _, line in read_lines(path))
    return list(dict.fromkeys(match.group() for match in found if match))


def _read_synsets(path: Path) -> dict[int, tuple[str, str]]:
    """Number of a class in the devkit -> (code, name). Only leaves are classes."""
    from scipy.io import loadmat

    try:
        data = path.read_bytes()
        check_mat(data)
        synsets = loadmat(io.BytesIO(data), squeeze_me=True)["synsets"]
        return {
            int(row["ILSVRC2012_ID"]): (str(row["WNID"]), str(row["words"]).split(",")[0].strip())
            for row in synsets.ravel()
            if int(row["num_children"]) == 0
        }
    except Exception as error:
        # scipy raises what it likes on a file that is not one of MATLAB's.
        fix = "Take meta.mat from ILSVRC2012_devkit_t12/data"
        raise CorruptData(f"this is not the devkit's table of classes: {error!s}", str(path), fix) from None


def _read_truth(path: Path, synsets: Mapping[int, tuple[str, str]]) -> dict[str, str]:
    found = {}
    for number, line in read_lines(path):
        if not line.strip():
            continue
        if not line.strip().isdecimal() or int(line) not in synsets:
            problem = f"expected the number of a class in meta.mat, found {line!r}"
            raise UsageError(problem, f"{path}, line {number}", "Take both files from the same devkit")
        found[f"ILSVRC2012_val_{number:08d}"] = synsets[int(line)][0]
    return found


def _read_solution(path: Path) -> dict[str, str]:
    found = {}
    for number, row in enumerate(csv.reader(line for _, line in read_lines(path)), 1):
        codes = set(_SYNSETS.findall(row[1])) if len(row) > 1 else set()
        if number == 1 and not codes:
            continue  # the heading
        if len(codes) != 1:
            problem = f"expected an image and boxes of one class, found {','.join(row)!r}"
            raise UsageError(problem, f"{path}, line {number}", "Take the file as it was published")
        found[row[0]] = codes.pop()
    return found
