"""What a source holds: its images in the order in which a listing keeps them, and its vocabulary.

Every fault of a source is reported here, before anything is written.
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
"""The class of all images that lie in no class folder."""
_WNID = re.compile(r"n\d{8}")


def scan(source: SourceSpec, known: set[str], seed: int) -> list[tuple[str, str, str]]:
    """(key, split, wnid) of every image that is not ``known``, in seeded random order.

    Raises:
        UsageError: the folder is missing or holds no images, or a key is absolute, leaves the folder, is not valid
            UTF-8, or has two classes.
        StorageFailure: a folder cannot be read.
    """
    images = [image for image, _ in groupby(sorted(_chosen(source)))]
    if not images:
        fix = f"Name a folder with files that end in {', '.join(sorted(_SUFFIXES))}"
        fix += f"; only images of the classes in {source.class_file} are taken" if source.class_file else ""
        raise UsageError("there are no images here", source.list_file or source.root, fix)
    for key, _, _ in images:
        _check_is_text(key, "Rename the file, or name the images to take in a file: --list FILE", source.root)
    for image, following in pairwise(images):
        if image[0] == following[0]:
            raise _two_classes(source, image, following)
    fresh = [image for image in images if image[0] not in known]
    order = generator("images", seed, len(known)).permutation(len(fresh))
    return [fresh[i] for i in order]


def scan_classes(source: SourceSpec, images: Iterable[tuple[str, str, str]]) -> list[ImageClass]:
    """The vocabulary of a source.

    It is that of the data set; or that of ``labels.txt`` (one ``wnid,name`` per line) if the folder has this file; or
    the names of the class folders.

    Args:
        images: what :func:`scan` returned.

    Raises:
        UsageError: there is no folder, an ImageNet tree has no ``labels.txt``, a line of it is malformed, or a class
            folder has no line.
    """
    root, is_chosen = _existing(source.root), _class_filter(source)
    if source.kind == "dataset":
        pairs = [pair for pair in dataset_classes(source.dataset, root) if is_chosen(pair[0])]
        for _, name in pairs:
            _check_is_text(name, "Fix the names of the categories", source.root)
        return [ImageClass(i, code, name) for i, (code, name) in enumerate(pairs)]
    labels = root / "labels.txt"
    wnids = sorted({wnid for _, _, wnid in images if wnid})
    if labels.exists():
        named = {wnid: name for wnid, name in _parse_labels(labels).items() if is_chosen(wnid)}
        unknown = [wnid for wnid in wnids if wnid not in named]
        if unknown:
            fix = f"Add the line '{unknown[0]},name' to it, or move the folder away"
            raise UsageError(f"there is no line for the class folders {unknown}", str(labels), fix)
        return [ImageClass(i, wnid, name) for i, (wnid, name) in enumerate(named.items())]
    if wnids and all(_WNID.fullmatch(wnid) for wnid in wnids):
        fix = "Write one: a line 'wnid,name' for each class, such as 'n02958343,car'"
        raise UsageError("the folders are named by WordNet codes, but there is no labels.txt here", str(root), fix)
    return [ImageClass(i, name, name.replace("_", " ")) for i, name in enumerate(wnids)]


def _chosen(source: SourceSpec) -> Iterator[tuple[str, str, str]]:
    is_chosen = _class_filter(source)
    return (image for image in _walk(source) if is_chosen(image[2]))


def _class_filter(source: SourceSpec) -> Callable[[str], bool]:
    """A test whether the source takes a class; it takes every class unless it lists some in a file."""
    if not source.class_file:
        return lambda code: True
    path = Path(source.class_file)
    if not path.is_file():
        raise UsageError(
            "there is no such file of classes", str(path), "Write one WordNet code, or one folder name, per line"
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
        inside = Path(folder).relative_to(root).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        # Once per folder, not once per file: millions of images share these strings.
        split, wnid = _split_and_class(prefix)
        for name in files:
            if os.path.splitext(name)[1].lower() in _SUFFIXES:
                yield prefix + name, split, wnid


def _refuse(error: OSError) -> NoReturn:
    """An unreadable folder is an error: otherwise its images would be left out silently."""
    fix = "Check its permissions, or move it away"
    raise StorageFailure(f"this folder cannot be read: {error.strerror!s}", str(error.filename), fix) from error


def _read_list(path: Path) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """(line number, image) for each line that names an image."""
    if not path.is_file():
        raise UsageError("there is no such list file", str(path), "Write one image key per line")
    for number, line in read_lines(path):
        key, _, wnid = line.strip().partition("\t")
        if not key or key.startswith("#"):
            continue
        if key.startswith("/") or ".." in Path(key).parts or "\\" in key:
            fix = "Write keys relative to the image folder"
            raise UsageError(f"expected a key inside the image folder, found {key!r}", f"{path}, line {number}", fix)
        # Without "./" and "//": an image has one key, however the line spells it.
        key = PurePosixPath(key).as_posix()
        split, inferred = _split_and_class(key)
        yield number, (key, split, wnid or inferred)


def _two_classes(source: SourceSpec, first: tuple[str, str, str], second: tuple[str, str, str]) -> UsageError:
    """The error that one key stands for two images; it names the lines if the source is a list."""
    key, where = first[0], source.root
    names = ["/".join(filter(None, image[1:])) for image in (first, second)]
    if source.kind == "list":
        lines = {image: number for number, image in _read_list(Path(source.list_file)) if image[0] == key}
        names, where = [f"{image[2]} in line {lines[image]}" for image in (first, second)], source.list_file
    return UsageError(f"{key} is listed twice, as {' and as '.join(names)}", where, "Keep only one of them")


def _split_and_class(key: str) -> tuple[str, str]:
    """``train/n01/x.JPEG`` -> (train, n01); ``cats/x.png`` -> (train, cats); ``x.png`` -> (train, object)."""
    parts = key.split("/")[:-1]
    split = parts.pop(0) if parts and parts[0].lower() in _SPLITS else "train"
    return split, parts[-1] if parts else UNSORTED


def _check_is_text(name: str, fix: str, where: str) -> None:
    """Refuse what is not UTF-8: Python keeps such bytes as lone surrogates, which neither Parquet nor SQL can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the name {name!r} is not valid UTF-8", where, fix) from None


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
            raise UsageError(f"expected 'wnid,name', found {line!r}", f"{path}, line {number}", "Fix the line")
        if wnid in named:
            raise UsageError(f"the class {wnid} has two lines", f"{path}, line {number}", "Remove one of them")
        named[wnid] = name
    return named
