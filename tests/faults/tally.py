"""What a campaign of faults prints: each case that is not as it should be, and how many of each kind there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

__all__ = ["tally"]


class Case(Protocol):
    """Something that was tried."""

    @property
    def problems(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Case)


def tally(cases: Iterable[T], what: str, word: Callable[[T], str]) -> int:
    """Print it. Returns the exit code: 1 if a case is not as it should be.

    Args:
        what: the cases, in the plural. word: the kind of a case that is as it should be.
    """
    words: Counter[str] = Counter()
    for case in cases:
        words["not as they should be" if case.problems else word(case)] += 1
        if case.problems:
            print(case, flush=True)
    print(f"{sum(words.values())} {what}: {', '.join(f'{n} {word}' for word, n in sorted(words.items()))}")
    return int(bool(words["not as they should be"]))
