"""Which image of a store a ``file_name`` of an annotation file means, however its author spelled the path.

A name is the key itself, or the key up to its spelling, or it agrees with exactly one key at the end of the path. What
fits several images fits none: masks never land on another picture.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from pdstore.errors import InputMissing
from stages.source.listing import Listed

__all__ = ["Matches", "clean", "match_names", "nothing_in_common"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE = re.compile(r"[A-Za-z]:(?=/)")
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_IMAGES = {"images", "image", "imgs", "img", "jpegimages", "data"}
"""Folders that come between the name of a split and its images."""


@dataclass(frozen=True)
class Matches:
    """How names fit a store.

    Attributes:
        names: key -> the names that mean it, which are spellings of one path.
        unclear: name -> why it means no image, though it fits some.
    """

    names: Mapping[str, tuple[str, ...]]
    unclear: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Fit:
    """The keys that a name fits; the lower ``rank``, the closer."""

    rank: int
    keys: tuple[str, ...]


def nothing_in_common(names: Sequence[str], keys: Sequence[str], where: str, why: str = "") -> InputMissing:
    """The error of annotation files of which no image is in the store, with one example from each side.

    Args:
        names: as the files list them.
        keys: of the store's images.
        where: the files.
        why: what is wrong with a name, if that is known.
    """
    said, known = next(iter(names), "nothing"), next(iter(keys), "nothing")
    problem = (
        f"none of the {len(names)} images that the file lists is in the store; "
        f"the file says, for example, {said!r}, and the store {known!r}"
    )
    fix = "Make file_name in the file the path below the image folder"
    return InputMissing(f"{problem} ({why})" if why else problem, where, fix)


def match_names(names: Iterable[str], images: Iterable[Listed], root: str = "") -> Matches:
    """Cost: linear in the number of folders of all names and keys.

    Args:
        root: the image folder. A name that has more folders than the key is refused if these say another split.
    """
    splits = {image.key: image.split for image in images}
    fits = _fits(list(dict.fromkeys(names)), splits, _folders(root))
    unclear = {n: f"it fits several images: {_listed(fit.keys)}" for n, fit in fits.items() if len(fit.keys) > 1}
    by_key: dict[str, list[str]] = {}
    for name, fit in fits.items():
        if len(fit.keys) == 1:
            by_key.setdefault(fit.keys[0], []).append(name)
    found: dict[str, tuple[str, ...]] = {}
    for key, candidates in by_key.items():
        closest = min(fits[name].rank for name in candidates)
        best = [name for name in candidates if fits[name].rank == closest]
        # Spellings of one path mean one image; two paths cannot.
        if len({clean(name) for name in best}) == 1:
            best = [name for name in candidates if clean(name) == clean(best[0])]
            found[key] = tuple(best)
        else:
            best = []
        for name in candidates:
            if name not in best:
                unclear[name] = f"the image {key} fits several names: {_listed(candidates)}"
    return Matches(found, unclear)


def clean(name: str) -> str:
    """The path without URL, drive, ``./`` and leading ``/``, with ``/`` between folders, in composed letters."""
    if _URL.match(name):
        address = urlsplit(name)
        name = unquote(address.path)
    name = _DRIVE.sub("", unicodedata.normalize("NFC", name).replace("\\", "/"))
    parts = posixpath.normpath(f"/{name}").split("/")
    return "/".join(part for part in parts if part)


def _fits(names: list[str], splits: Mapping[str, str], root: list[str]) -> dict[str, _Fit]:
    by_path = _grouped((clean(key), key) for key in splits)
    by_fold = _grouped((_fold(clean(key)), key) for key in splits)
    fits: dict[str, _Fit] = {}
    short: dict[str, list[str]] = {}
    for name in names:
        path = clean(name)
        folded = _fold(path)
        if name in splits:
            fits[name] = _Fit(0, (name,))
        elif path in by_path:
            fits[name] = _Fit(1, by_path[path])
        elif folded in by_fold:
            fits[name] = _Fit(2, by_fold[folded])
        elif (fit := _longest_end(name, folded, by_fold, splits, root)) is not None:
            fits[name] = fit
        else:
            short.setdefault(folded, []).append(name)
    ends: dict[str, list[str]] = {}
    for folded, keys in by_fold.items():
        for end in _ends(folded):
            if end in short:
                ends.setdefault(end, []).extend(keys)
    return fits | {name: _Fit(4, tuple(keys)) for end, keys in ends.items() for name in short[end]}


def _longest_end(
    name: str, folded: str, by_fold: Mapping[str, tuple[str, ...]], splits: Mapping[str, str], root: list[str]
) -> _Fit | None:
    """The keys that are the longest end of a name, unless the folders before it say that it is another image."""
    end = next((end for end in _ends(folded) if end in by_fold), None)
    if end is None:
        return None
    before, keys = _folders(folded.removesuffix(end)), by_fold[end]
    said, known = _split_of(before), _split_of(root)
    if said:
        return _Fit(3, keys) if all(said == (known or splits[key]) for key in keys) else None
    # dog/1.jpg is not the image 1.jpg of a folder cat. Of a folder on another machine, nothing is known.
    is_root = before[-1] in _IMAGES or before[-1] == (root or before)[-1]
    return _Fit(3, keys) if is_root or _is_absolute(name) else None


def _ends(path: str) -> Iterator[str]:
    """``a/b/c`` -> ``b/c``, ``c``."""
    while "/" in path:
        path = path.split("/", 1)[1]
        yield path


def _is_absolute(name: str) -> bool:
    return bool(_URL.match(name) or _DRIVE.match(name.replace("\\", "/")) or name[:1] in ("/", "\\"))


def _folders(path: str) -> list[str]:
    return [folder.lower() for folder in path.replace("\\", "/").split("/") if folder]


def _split_of(folders: list[str]) -> str:
    """The split that the last of these folders names, ``images`` and the like aside; empty if it names none."""
    named = [folder for folder in folders if folder not in _IMAGES]
    return _SPLITS.get(named[-1].removesuffix("2017").removesuffix("2014"), "") if named else ""


def _fold(path: str) -> str:
    stem, extension = posixpath.splitext(path)
    return stem + extension.lower()


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for name, key in pairs:
        groups.setdefault(name, []).append(key)
    return {name: tuple(keys) for name, keys in groups.items()}


def _listed(found: Iterable[str]) -> str:
    names = sorted(found)
    return f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
