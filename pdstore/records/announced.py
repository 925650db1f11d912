"""Announcements: in an object store, whoever is about to change what a layer has committed says so before.

To find what is new, a reader would have to list every commit of every layer, a thousand per request. Instead it lists
the announcements, which are few: those of units that the index holds are removed. An announced unit may have changed,
and its manifest is read; any other unit is as the index says. So a worker that is killed at any moment leaves an
announcement too many, and never one too few.
"""

from __future__ import annotations

from pdstore import layout
from pdstore.files import Files

__all__ = ["WITHDRAWN", "announce", "announcement", "is_announced"]

WITHDRAWN = ".withdrawn"
"""The end of the name of an announcement that an attempt is about to be taken back."""


def is_announced(files: Files, node: str, fingerprint: str) -> bool:
    """Whether changes of the layer have to be announced: in object stores, and in copies of them."""
    return not files.is_local or files.exists(layout.recent_layer(node, fingerprint))


def announcement(files: Files, node: str, fingerprint: str, unit: int, attempt: str) -> dict[str, bytes]:
    """The files that announce a commit, to be written with those of its attempt; none if there is no need."""
    if not is_announced(files, node, fingerprint):
        return {}
    return {layout.recent_file(node, fingerprint, unit, attempt): b""}


def announce(files: Files, node: str, fingerprint: str, unit: int, attempt: str) -> None:
    """Announce that an attempt, or a manifest that cannot be read, is about to be taken back."""
    if is_announced(files, node, fingerprint):
        files.write(layout.recent_file(node, fingerprint, unit, f"{attempt}{WITHDRAWN}"), b"")
