"""Which object and which part a category of a COCO file means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from stages.source.listing import ImageClass

__all__ = ["class_names", "split_name", "vocabulary_of"]

_WORD = re.compile(r"[^\s_-]+")
_NO_OBJECT = {"", "none", "null", "root", "parts", "part", "object", "objects", "thing", "things", "all", "default"}
"""Super-categories that tools write where their author named none."""


def class_names(classes: Iterable[ImageClass]) -> dict[str, ImageClass]:
    """Name -> class. Classes that share a name are also called as exports call them: ``crane (n03126707)``."""
    listed = list(classes)
    count = Counter(c.name for c in listed)
    names = {c.name: c for c in listed}
    return names | {f"{c.name} ({c.wnid})": c for c in listed if count[c.name] > 1}


def vocabulary_of(names: Iterable[str]) -> dict[str, str]:
    """The words of each class name -> the name in lower case."""
    return {" ".join(_words(name)): name.lower() for name in names if _words(name)}


def split_name(category: Mapping[str, Any], vocabulary: Mapping[str, str] | None = None) -> tuple[str, str]:
    """(object, part) in lower case: ``Car Side Mirror`` -> (car, side mirror).

    The object is the longest class name that the category begins with, or else its super-category, or else its first
    word. Case, ``_`` and ``-`` make no difference. A super-category that names a group (animal) or nothing (none, root)
    yields to a class name. An object is empty if the category has one word and nothing names its object.

    Args:
        vocabulary: see :func:`vocabulary_of`.
    """
    known, name, owner = vocabulary or {}, str(category["name"]), str(category.get("supercategory") or "")
    words, owner_words = _words(name), _words(owner)
    is_named, is_known = " ".join(owner_words) not in _NO_OBJECT, " ".join(owner_words) in known
    starts = is_named and words[: len(owner_words)] == owner_words
    # With an object of that name there must be a part left: Car Mirror is a mirror, though there may be such a class.
    longest = len(words) - (starts and is_known)
    length = next((n for n in range(longest, 0, -1) if " ".join(words[:n]) in known), 0)
    if length > (len(owner_words) if starts else 0) and (starts or not is_known):
        return known[" ".join(words[:length])], _after(name, length)
    if is_named:
        thing = known.get(" ".join(owner_words), owner.lower())
        return thing, _after(name, len(owner_words)) if starts else name.lower()
    # Words with spaces between them may contain a hyphen: T-shirt collar.
    first = name.split()[0] if " " in name.strip() else re.split("_", name, maxsplit=1)[0]
    count = len(_words(first))
    return (first.lower(), _after(name, count)) if count < len(words) else ("", name.lower())


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _after(name: str, count: int) -> str:
    """What follows the first ``count`` words; the whole name if nothing does."""
    rest = list(_WORD.finditer(name))[count:]
    return (name[rest[0].start() :] if rest else name).strip().lower()
