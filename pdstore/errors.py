"""Every error that a user can meet: what was expected, what was found, where, and what to do about it.

The tree is sorted by what a handler would do, and each class carries the program's exit code. The first two paragraphs
of each docstring say what happened and what a handler does about it: ``docs/errors.md`` is printed from them.
"""

from __future__ import annotations

import difflib
import re
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
    "StoreUnreachable",
    "UsageError",
    "nearest",
    "printable",
]


class PdError(Exception):
    """Base of all expected failures, and any failure that has no class of its own.

    Show the message, which says what to do, and exit with the class's exit code.

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
    """The request itself is wrong: an argument, a name, a setting or an SQL text.

    Correct the request. The same request would fail again.
    """

    exit_code = 2


class StaleSettings(PdError):
    """Units exist under other settings than the requested ones.

    Keep the old settings, make a new layer next to the old one, or replace the old one.
    """

    exit_code = 3


class PartlyFailed(PdError):
    """Some units failed or wait for their input; the others were committed.

    Fix the cause and run the same command again. Only what is missing is computed.
    """

    exit_code = 4


class Preempted(PdError):
    """A signal asked the process to stop; what was committed stays.

    Run the same command again. It continues where it stopped.
    """

    exit_code = 75


class InputMissing(PdError):
    """An input does not exist, or is incomplete.

    Compute or provide the input first. The message names the command or the file.
    """


class CorruptData(PdError):
    """Stored bytes are not what their manifest or their format says.

    Do not use the data. Have it computed again with ``pd verify --repair``, or restore the file from a copy.
    """


class CommitConflict(PdError):
    """Another attempt of the unit was committed first.

    Go on with the next unit: this one is done. The runner does so, and users never see this error.
    """


class StorageFailure(PdError):
    """The file system refused: the disk is full, a permission is missing, or the connection was lost.

    Remove the cause and run the same command again. What was committed is safe.
    """


class StoreUnreachable(StorageFailure, OSError):
    """An object store did not answer, or went on answering that it is busy, for as long as requests are tried again.

    Run the same command again when it answers. What was committed is safe.
    """


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


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal or a browser obeys instead of showing it: control characters, marks of direction, half surrogates."""


def printable(text: str, keep: str = "\n\t") -> str:
    """The text as a person may see it: ``\\x1b`` instead of an escape character, and so for every control character.

    Whatever prints a key, a class name or a message calls it, since these come from other people's files. CSV, JSON and
    Parquet keep the text as it is.

    Args:
        keep: control characters that stay as they are.
    """
    return _CONTROLS.sub(lambda m: m[0] if m[0] in keep else m[0].encode("unicode_escape").decode(), text)
