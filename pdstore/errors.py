"""Every error that a user can meet: what was expected, what was found, where, and what to do about it.

The tree is sorted by what a handler would do, and each class carries the program's exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CommitConflict",
    "CorruptData",
    "InputMissing",
    "PartlyFailed",
    "PdError",
    "Preempted",
    "StaleSettings",
    "StorageFailure",
    "UsageError",
    "nearest",
]


class PdError(Exception):
    """Base of all expected failures.

    Args:
        problem: one sentence that says what is wrong and, unless that is obvious, what was expected and found.
        where: the node, block, image, file or key that the error is about.
        fix: what the reader can do next, as an imperative sentence.
    """

    exit_code = 1

    def __init__(self, problem: str, where: str = "", fix: str = "") -> None:
        self.problem, self.where, self.fix = problem, where, fix
        super().__init__(problem, where, fix)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        problem = self.problem if self.problem.endswith("\n") else f"{_sentence(self.problem)} "
        return f"{place}{problem}{_sentence(self.fix)}".rstrip()


class UsageError(PdError, ValueError):
    """The request itself is wrong: an argument, a name, a setting, an SQL text."""

    exit_code = 2


class StaleSettings(PdError):
    """Blocks exist under other settings than those asked for."""

    exit_code = 3


class PartlyFailed(PdError):
    """Some units failed or wait for their input, and the others were committed."""

    exit_code = 4


class Preempted(PdError):
    """A signal asked the process to stop; what was committed stays."""

    exit_code = 75


class InputMissing(PdError):
    """A node's input is not there, or not all of it."""


class CorruptData(PdError):
    """Stored bytes are not what their manifest or their format says."""


class CommitConflict(PdError):
    """Another attempt was committed first. Never an error to a user: the block is done."""


class StorageFailure(PdError):
    """The file system refused: disk full, no permission, connection lost."""


def _sentence(text: str) -> str:
    # Messages of other libraries bring their own full stop.
    text = text.rstrip(" .!")
    return text if not text or text.endswith(("?", "…")) else f"{text}."


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as ``Did you mean 'grouping'?``, or the list of known names if none is similar."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(names)}"
