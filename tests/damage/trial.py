"""Damage a copy of a store in many ways, one at a time, and see what its readers make of it.

``python -m tests.damage.trial COUNT [SEED]`` prints how many mutations were harmless, were named, were silent, or ended
in an error that is not ours.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdstore import PdError
from tests.damage.damaged_store import make_store
from tests.damage.mutations import Mutation, kind_of, mutations
from tests.damage.readers import READERS, damage_of

__all__ = ["Verdict", "trials"]

_REFUSED = object()


@dataclass
class Verdict:
    """What came of one mutation.

    Attributes:
        raw: reader -> an error that is not one of ours. differing: readers that gave another result.
        refused: readers that gave one of our errors. is_named: verify names it, or refuses to read the store at all.
    """

    mutation: Mutation
    raw: dict[str, str] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    is_named: bool = False

    @property
    def word(self) -> str:
        """raw, silent, unnamed, named or harmless."""
        if self.raw:
            return "raw"
        if self.differing:
            return "silent"
        if self.is_named:
            return "named"
        return "unnamed" if self.refused else "harmless"


def trials(folder: Path, count: int, seed: int) -> Iterator[Verdict]:
    """The verdict on each of ``count`` mutations of one store, which is made in ``folder``."""
    store = Path(make_store(folder).url)
    expected = {name: read(store) for name, read in READERS.items()}
    assert damage_of(store) == []
    for mutation in mutations(store, count, seed):
        copy = folder / "copy"
        shutil.copytree(store, copy)
        mutation.apply(copy)
        verdict = Verdict(mutation)
        for name, read in READERS.items():
            _judge(verdict, name, read, copy, expected[name])
        _judge(verdict, "verify", lambda path: bool(damage_of(path)), copy, None)
        verdict.is_named = "verify" in verdict.refused or verdict.is_named
        shutil.rmtree(copy)
        yield verdict


def _judge(verdict: Verdict, name: str, read: Any, store: Path, expected: Any) -> None:
    try:
        found = read(store)
    except PdError:
        verdict.refused.append(name)
    except Exception as error:
        verdict.raw[name] = repr(error)
    else:
        if name == "verify":
            verdict.is_named = found
        elif found != expected:
            verdict.differing.append(name)


def main(count: int, seed: int = 0) -> int:
    logging.disable(logging.WARNING)
    words: Counter[str] = Counter()
    bad: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for verdict in trials(Path(folder), count, seed):
            words[verdict.word] += 1
            if verdict.word in ("raw", "silent", "unnamed"):
                what = "; ".join([*(f"{n}: {e}" for n, e in verdict.raw.items()), *verdict.differing])[:400]
                kind = f"{verdict.word}: {verdict.mutation.kind} of {kind_of(verdict.mutation.path)}"
                bad.setdefault(kind, []).append(what or ", ".join(verdict.refused))
    for kind, found in sorted(bad.items()):
        print(f"{len(found)} x {kind}: {found[0]}")
    print(f"{count} mutations, seed {seed}: {', '.join(f'{n} {word}' for word, n in sorted(words.items()))}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
