"""What a source holds: its images in the order in which a listing keeps them, and its vocabulary.

Whatever is wrong with a source is said here, before anything is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, pairwise
from pathlib import Path, PurePosixPath
from typing import NoReturn

from pdstore.errors import StorageFailure, UsageError
from pdstore.stream import generator
from schemas.pipeline import SourceSpec
from stages.datasets.published import dataset_classes, dataset_images
from stages.source.listing import ImageClass
from stages.source.text_files import read_lines

__all__ = ["scan", "scan_classes"]

_SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm"}
_SPLITS = {"train", "val", "valid", "validation", "test"}
UNSORTED = "object"
"""The one class of images that lie in no class folder."""
_WNID = re.compile(r"n\d{8}")


def scan(source: SourceSpec, known: set[str], seed: int) -> list[tuple[str, str, str]]:
    """(key, split, wnid) of every image that is not ``known``, in seeded random order.

    Raises:
        UsageError: the folder is missing or holds no image, or a key is absolute, leaves the folder, is no UTF-8, or
            has two classes.
        StorageFailure: a folder cannot be read.
    """
    images = [image for image, _ in groupby(sorted(_chosen(source)))]
    if not images:
        fix = f"Images end in {', '.join(sorted(_SUFFIXES))}"
        fix += f"; only those of classes in {source.class_file} are taken" if source.class_file else ""
        raise UsageError("expected images, found none", source.list_file or source.root, fix)
    for key, _, _ in images:
        _check_is_text(key, "Rename the file, or name the images to take in a file: --list FILE", source.root)
    for one, other in pairwise(images):
        if one[0] == other[0]:
            raise _two_classes(source, one, other)
    fresh = [image for image in images if image[0] not in known]
    order = generator("images", seed, len(known)).permutation(len(fresh))
    return [fresh[i] for i in order]


def scan_classes(source: SourceSpec, images: Iterable[tuple[str, str, str]]) -> list[ImageClass]:
    """The vocabulary of a source: its data set's; or ``labels.txt`` (``wnid,name`` a line) if it is there; or folders.

    Args:
        images: what :func:`scan` found.

    Raises:
        UsageError: no folder, an ImageNet tree without ``labels.txt``, or a line or class folder that does not fit.
    """
    root, is_chosen = _existing(source.root), _class_filter(source)
    if source.kind == "dataset":
        pairs = [pair for pair in dataset_classes(source.dataset, root) if is_chosen(pair[0])]
        for _, name in pairs:
            _check_is_text(name, "Mend the names of the categories", source.root)
        return [ImageClass(i, code, name) for i, (code, name) in enumerate(pairs)]
    labels = root / "labels.txt"
    found = sorted({wnid for _, _, wnid in images if wnid})
    if labels.exists():
        named = {wnid: name for wnid, name in _parse_labels(labels).items() if is_chosen(wnid)}
        unknown = [wnid for wnid in found if wnid not in named]
        if unknown:
            fix = f"Add a line '{unknown[0]},name' to it, or move the folder away"
            raise UsageError(
                f"expected every class folder in labels.txt, found no line for {unknown}", str(labels), fix
            )
        return [ImageClass(i, wnid, name) for i, (wnid, name) in enumerate(named.items())]
    if found and all(_WNID.fullmatch(wnid) for wnid in found):
        fix = "Write it: one 'wnid,name' a line, such as 'n02958343,car'"
        raise UsageError("expected labels.txt beside folders named by WordNet codes, found none", str(root), fix)
    return [ImageClass(i, name, name.replace("_", " ")) for i, name in enumerate(found)]


def _chosen(source: SourceSpec) -> Iterator[tuple[str, str, str]]:
    is_chosen = _class_filter(source)
    return (image for image in _walk(source) if is_chosen(image[2]))


def _class_filter(source: SourceSpec) -> Callable[[str], bool]:
    """Whether a class is one of the source's; every class is where it has no list of them."""
    if not source.class_file:
        return lambda code: True
    path = Path(source.class_file)
    if not path.is_file():
        raise UsageError(
            "expected a file of classes, found none", str(path), "Write a WordNet code, or a folder's name, a line"
        )
    lines = (line.strip() for _, line in read_lines(path))
    codes = {re.split(r"[\t,]", line)[0].strip() for line in lines if line and not line.startswith("#")}
    return codes.__contains__


def _walk(source: SourceSpec) -> Iterator[tuple[str, str, str]]:
    if source.kind == "list":
        yield from (image for _, image in _read_list(Path(source.list_file)))
        return
    root = _existing(source.root)
    if source.kind == "dataset":
        yield from dataset_images(source.dataset, root)
        return
    for folder, subfolders, files in os.walk(root, onerror=_refuse):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        place = Path(folder).relative_to(root).as_posix()
        prefix = "" if place == "." else f"{place}/"
        # Of the folder and not of each file: millions of images share these strings.
        split, wnid = _split_and_class(prefix)
        for name in files:
            if os.path.splitext(name)[1].lower() in _SUFFIXES:
                yield prefix + name, split, wnid


def _refuse(error: OSError) -> NoReturn:
    """A folder that cannot be read is an error: its images would be left out in silence."""
    fix = "Check its permissions, or move it away"
    raise StorageFailure(
        f"expected a folder that can be read, found {error.strerror!s}", str(error.filename), fix
    ) from error


def _read_list(path: Path) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """(number of the line, image) of each line that names one."""
    if not path.is_file():
        raise UsageError("expected a list file, found none", str(path), "Write one image key a line")
    for number, line in read_lines(path):
        key, _, wnid = line.strip().partition("\t")
        if not key or key.startswith("#"):
            continue
        if key.startswith("/") or ".." in Path(key).parts or "\\" in key:
            fix = "Write keys relative to the image folder"
            raise UsageError(f"expected a key inside the image folder, found {key!r}", f"{path}, line {number}", fix)
        # Without "./" and "//": an image has one key, however it is spelled.
        key = PurePosixPath(key).as_posix()
        split, inferred = _split_and_class(key)
        yield number, (key, split, wnid or inferred)


def _two_classes(source: SourceSpec, one: tuple[str, str, str], other: tuple[str, str, str]) -> UsageError:
    """The error that one key stands for two images, with the lines that say so where there is a list."""
    places, where = ["/".join(filter(None, image[1:])) for image in (one, other)], source.root
    if source.kind == "list":
        lines = {image: number for number, image in _read_list(Path(source.list_file)) if image[0] == one[0]}
        places, where = [f"{image[2]} in line {lines[image]}" for image in (one, other)], source.list_file
    return UsageError(f"expected {one[0]} once, found it as {' and as '.join(places)}", where, "Leave one of them")


def _split_and_class(key: str) -> tuple[str, str]:
    """``train/n01/x.JPEG`` -> (train, n01); ``cats/x.png`` -> (train, cats); ``x.png`` -> (train, object)."""
    parts = key.split("/")[:-1]
    split = parts.pop(0) if parts and parts[0].lower() in _SPLITS else "train"
    return split, parts[-1] if parts else UNSORTED


def _check_is_text(name: str, fix: str, where: str) -> None:
    """Bytes of a file name that are no UTF-8 are lone surrogates in Python, which neither Parquet nor SQL can keep."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"expected a name in UTF-8, found {name!r}", where, fix) from None


def _existing(folder: str) -> Path:
    root = Path(folder)
    if not root.is_dir():
        fix = "Name the folder that holds the images: pd init STORE --images DIR"
        raise UsageError(
            "the image folder is a file" if root.exists() else "there is no such image folder", folder, fix
        )
    return root


def _parse_labels(path: Path) -> dict[str, str]:
    named: dict[str, str] = {}
    for number, line in read_lines(path):
        if not line.strip():
            continue
        wnid, comma, name = (part.strip() for part in line.partition(","))
        if not (wnid and comma and name):
            raise UsageError(f"expected 'wnid,name', found {line!r}", f"{path}, line {number}", "Mend the line")
        if wnid in named:
            raise UsageError(
                f"expected each class once, found {wnid} again", f"{path}, line {number}", "Remove one of the lines"
            )
        named[wnid] = name
    return named
