"""Keys, splits and class codes become paths below a folder: those that would lead out of it are refused.

They come from listings, annotation files and stores of other people.
"""

from __future__ import annotations

from collections.abc import Iterable

from pdstore.errors import UsageError

__all__ = ["check_inside", "leads_out"]


def leads_out(path: str) -> bool:
    """Whether a path that is meant to be relative to a folder leads out of it, or is none: absolute, ``..``, a zero."""
    return not path or path.startswith("/") or "\0" in path or ".." in path.split("/")


def check_inside(paths: Iterable[str], where: str) -> None:
    """Raises UsageError at the first of these keys that leads out of its folder.

    Args:
        where: what lists them, such as a file or a store.
    """
    for path in paths:
        if leads_out(path):
            problem = f"expected a path inside the image folder, found {path!r}"
            raise UsageError(problem, where, "Write it relative to the image folder, without '..'")
