"""What a source holds: its images in the order in which a listing keeps them, and its vocabulary.

Every fault of a source is reported here, before anything is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, pairwise
from pathlib import Path, PurePosixPath

from pdstore.errors import UsageError
from pdstore.stream import generator
from schemas.pipeline import SourceSpec
from stages.create.names import ClassFiles, a_few, listed_splits
from stages.create.shape import OUTSIDE, WORDNET, Place, arrange
from stages.create.walk import SUFFIXES, Tell, check_links, find_images, ignore
from stages.source.key_paths import check_inside, leads_out
from stages.source.listing import ImageClass
from stages.source.tars import Member, is_tar
from stages.source.text_files import read_lines

__all__ = ["scan", "scan_classes"]

UNSORTED = "object"
"""The class of all images of a folder that has no classes at all."""
Image = tuple[str, str, str]


def scan(
    source: SourceSpec, known: set[str], seed: int, tell: Tell = ignore, members: list[Member] | None = None
) -> list[Image]:
    """(key, split, wnid) of every image that is not ``known``, in seeded random order; wnid "" is no class.

    Args:
        tell: is called with a sentence about files that are left out.
        members: gets all images that lie in tar files.

    Raises:
        UsageError: the folder is missing or holds no images, or can be read in two ways; or a key is absolute, leaves
            the folder, is not valid UTF-8, or has two classes.
        StorageFailure: a folder cannot be read.
    """
    images = [image for image, _ in groupby(sorted(_chosen(source, tell, members)))]
    if not images:
        fix = f"Name a folder with files that end in {', '.join(sorted(SUFFIXES))}"
        fix += f"; only images of the classes in {source.class_file} are taken" if source.class_file else ""
        fix += f"; only images of the splits {', '.join(source.splits)} are taken" if source.splits else ""
        raise UsageError("there are no images here", source.list_file or source.root, fix)
    for key, _, _ in images:
        _check_is_text(key, "Rename the file, or name the images to take in a file: --list FILE", source.root)
    for image, following in pairwise(images):
        if image[0] == following[0]:
            raise _two_classes(source, image, following)
    fresh = [image for image in images if image[0] not in known]
    order = generator("images", seed, len(known)).permutation(len(fresh))
    return [fresh[i] for i in order]


def scan_classes(source: SourceSpec, images: Iterable[Image]) -> list[ImageClass]:
    """The vocabulary of a source.

    It is that of the data set; or that of ``labels.txt`` (one ``wnid,name`` per line) or of the files that ImageNet
    publishes, see :mod:`stages.create.names`; or the names of the class folders.

    Args:
        images: what :func:`scan` returned.

    Raises:
        UsageError: there is no folder, an ImageNet tree has no file of names, a line of it is malformed, or a class
            folder has no line.
    """
    root, is_chosen = _existing(source.root), _class_filter(source)
    if source.kind == "dataset":
        # Imported here and below: a folder of images needs none of the readers of data sets.
        from stages.datasets.published import dataset_classes

        pairs = [pair for pair in dataset_classes(source.dataset, root) if is_chosen(pair[0])]
        for _, name in pairs:
            _check_is_text(name, "Fix the names of the categories", source.root)
        return [ImageClass(i, code, name) for i, (code, name) in enumerate(pairs)]
    wnids = sorted({wnid for _, _, wnid in images if wnid})
    named, where = ClassFiles.find(root, source.labels, wnids).names(wnids)
    if where:
        unknown = [wnid for wnid in wnids if wnid not in named]
        if unknown:
            fix = f"Add the line '{unknown[0]},name' to it, or move the folder away"
            raise UsageError(f"there is no line for the class folders {a_few(unknown)}", where, fix)
        chosen = [pair for pair in named.items() if is_chosen(pair[0])]
        return [ImageClass(i, wnid, name) for i, (wnid, name) in enumerate(chosen)]
    codes = [wnid for wnid in wnids if WORDNET.fullmatch(wnid)]
    if codes:
        problem = f"the folders {a_few(codes)} are named by WordNet codes, but there is no labels.txt here"
        fix = "Write one: a line 'wnid,name' for each class, such as 'n02958343,car'; or name the file: --labels FILE"
        raise UsageError(problem, str(root), fix)
    return [ImageClass(i, name, name.replace("_", " ")) for i, name in enumerate(wnids)]


def _chosen(source: SourceSpec, tell: Tell, members: list[Member] | None) -> list[Image]:
    """The images of the chosen splits and classes, with the classes that published files know."""
    is_chosen = _class_filter(source)
    if source.kind == "dataset":
        from stages.datasets.published import dataset_images

        images = list(dataset_images(source.dataset, _existing(source.root)))
        check_inside((key for key, *_ in images), f"the data set {source.dataset} in {source.root}")
    else:
        images = _with_truth(source, list(_walk(source, tell, members)), tell)
        if not any(wnid for _, _, wnid in images):
            images = [(key, split, UNSORTED) for key, split, _ in images]
    return [image for image in images if (not source.splits or image[1] in source.splits) and is_chosen(image[2])]


def _with_truth(source: SourceSpec, images: list[Image], tell: Tell) -> list[Image]:
    """The images with the classes that a file of validation labels gives to those without a class folder."""
    if all(wnid or split != "val" for _, split, wnid in images):
        return images
    files = ClassFiles.find(_existing(source.root), source.labels, {wnid for _, _, wnid in images})
    if files.lacks_meta:
        tell("the classes of val are numbers, and the devkit's meta.mat is not here: these images have no class")
    truth = files.truth()
    if not truth:
        return images
    return [
        (key, split, wnid or (truth.get(PurePosixPath(key).stem, "") if split == "val" else ""))
        for key, split, wnid in images
    ]


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


def _walk(source: SourceSpec, tell: Tell, members: list[Member] | None) -> Iterator[Image]:
    root = Path(source.root)
    if source.kind == "list":
        if root.is_file():
            _existing(source.root)
            list(find_images(root, source.follow_links, members, tell))
        yield from (image for _, image in _read_list(source))
        return
    root = _existing(source.root)
    found = {folder: names for folder, names in find_images(root, source.follow_links, members, tell) if names}
    # A tar file's own name says what it is: ILSVRC2012_img_val.tar. That of a folder is the reader's choice.
    within = {folder: str(PurePosixPath(root.stem, folder)) if root.is_file() else folder for folder in found}
    places = arrange(within.values(), source.read_as, source.root)
    for folder, names in found.items():
        # One place per folder, not per file: millions of images share these strings.
        place = places[within[folder]]
        if place is None:
            tell(f"left out: {len(names)} files in {folder}, which are masks of the images beside it")
            continue
        _check_is_in_a_split(source, folder, place)
        prefix = f"{folder}/" if folder else ""
        splits = listed_splits(root / folder)
        for name in names:
            yield prefix + name, splits.get(Path(name).stem, place.split) if splits else place.split, place.code


def _check_is_in_a_split(source: SourceSpec, folder: str, place: Place) -> None:
    """Images beside ``train`` and ``val`` are in no split; --split leaves them out like those of other splits."""
    if place.split == OUTSIDE and not source.splits:
        problem = f"the folder {folder} lies beside the folders of the splits: its images are in none of them"
        fix = "Move it into one of them or away; or name the splits to take: --split train --split val"
        raise UsageError(problem, source.root, fix)


def _read_list(source: SourceSpec) -> list[tuple[int, Image]]:
    """(line number, image) for each line that names an image."""
    path = Path(source.list_file)
    lines = list(_listed_keys(path))
    if not source.follow_links and Path(source.root).is_dir():
        check_links(Path(source.root), (key for _, key, _ in lines))
    places = arrange({_folder(key) for _, key, _ in lines}, source.read_as, source.root)
    images = []
    for number, key, wnid in lines:
        # A list names its images one by one, so none of them is left out as a mask.
        place = places[_folder(key)] or Place("train", "")
        if not wnid:
            _check_is_in_a_split(source, _folder(key), place)
        images.append((number, (key, place.split or "train", wnid or place.code)))
    return images


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _listed_keys(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line number, key, class or "") for each line that names an image."""
    if not path.is_file():
        raise UsageError("there is no such list file", str(path), "Write one image key per line")
    for number, line in read_lines(path):
        key, _, wnid = line.strip().partition("\t")
        if not key or key.startswith("#"):
            continue
        if leads_out(key) or "\\" in key:
            fix = "Write keys relative to the image folder"
            raise UsageError(f"expected a key inside the image folder, found {key!r}", f"{path}, line {number}", fix)
        # Without "./" and "//": an image has one key, however the line spells it.
        yield number, PurePosixPath(key).as_posix(), wnid


def _two_classes(source: SourceSpec, first: tuple[str, str, str], second: tuple[str, str, str]) -> UsageError:
    """The error that one key stands for two images; it names the lines if the source is a list."""
    key, where = first[0], source.root
    names = ["/".join(filter(None, image[1:])) for image in (first, second)]
    if source.kind == "list":
        lines = {image: number for number, image in _read_list(source) if image[0] == key}
        names, where = [f"{image[2]} in line {lines[image]}" for image in (first, second)], source.list_file
    return UsageError(f"{key} is listed twice, as {' and as '.join(names)}", where, "Keep only one of them")


def _check_is_text(name: str, fix: str, where: str) -> None:
    """Refuse what is not UTF-8: Python keeps such bytes as lone surrogates, which neither Parquet nor SQL can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the name {name!r} is not valid UTF-8", where, fix) from None


def _existing(folder: str) -> Path:
    root = Path(folder)
    if not root.is_dir() and not (root.is_file() and is_tar(root.name)):
        fix = "Name the folder that holds the images, or a tar file that is not compressed: pd init STORE --images DIR"
        raise UsageError(
            "the image folder is a file" if root.exists() else "there is no such image folder", folder, fix
        )
    return root
