"""One call after the other fails in the commands that make a small store; then the same command is given again.

``python -m tests.faults.trial [STEP] [SEED]`` tries every STEP-th call, and prints what was not as it should be.
"""

from __future__ import annotations

import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pdstore import Store, layout
from pdstore.garbage import delete_garbage, find_garbage
from pdstore.verify import verify
from tests.compare_stores import contents
from tests.faults.commands import COMMANDS, Ended, make_pictures, pd
from tests.faults.failing_calls import FAULTS, Fault
from tests.faults.tally import tally
from tests.forks import in_process

__all__ = ["Trial", "found", "trials"]

_STEP = re.compile(r"/step_\d+\.pt$")
_RANDOM = re.compile(r"(?<=[./])[0-9a-f]{12,32}(?=[./]|$)")


@dataclass(frozen=True)
class Trial:
    """A call that failed.

    Attributes:
        ended: the command in which it did. problems: what was not as it should be, then or afterwards.
    """

    command: str
    fault: Fault
    at: int
    ended: Ended
    problems: tuple[str, ...]

    def __str__(self) -> str:
        what = f"{self.command}, call {self.at} ({self.ended.failed}), {self.fault.name}"
        return f"{what}: {'; '.join(self.problems)}"


@dataclass(frozen=True)
class Found:
    """What is in a store once gc has been there.

    Attributes:
        contents: node -> unit -> digest. files: how many there are of each kind. damage: what verify names.
    """

    contents: dict[str, dict[int, str]]
    files: dict[str, int]
    damage: list[str]


def trials(folder: Path, step: int, seed: int) -> Iterator[Trial]:
    """Every ``step``-th call of each command, from one that is drawn on, with one of the faults in turn."""
    make_pictures(folder)
    draw, store = random.Random(seed), folder / "store"
    for command in COMMANDS:
        before = folder / f"before-{command}"
        if store.exists():
            shutil.copytree(store, before)
        calm = pd(folder, command, store)
        assert calm.code == 0, calm
        expected = found(folder, store)
        for at in range(draw.randrange(step), calm.calls, step):
            fault = FAULTS[(at // step + draw.randrange(2)) % len(FAULTS)]
            yield _tried(folder, command, fault, at, calm, expected)
        shutil.rmtree(before, ignore_errors=True)


def _tried(folder: Path, command: str, fault: Fault, at: int, calm: Ended, expected: Found) -> Trial:
    before, copy = folder / f"before-{command}", folder / "copies" / "store"
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(exist_ok=True)
    if before.exists():
        shutil.copytree(before, copy)
    ended = pd(folder, command, copy, fault, at)
    problems = list(_faults_of(ended))
    again = pd(folder, command, copy)
    if again.code and not (command == "init" and "already exists" in again.err):
        problems.append(f"the same command failed afterwards: {again.err.strip()[-300:]}")
    elif command in ("sql", "status") and again.out != calm.out:
        problems.append("the same command gave another result afterwards")
    else:
        after = found(folder, copy)
        names = ("contents", "files", "damage")
        problems += [
            f"other {name}: {_difference(getattr(after, name), getattr(expected, name))}"
            for name in names
            if getattr(after, name) != getattr(expected, name)
        ]
    return Trial(command, fault, at, ended, tuple(problems))


def _faults_of(ended: Ended) -> Iterator[str]:
    """A command has succeeded all the same, or says in one sentence why not."""
    if "Traceback" in ended.err:
        yield f"a traceback: {ended.err.strip()[-600:]}"
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    if ended.code == 0 and not errors:
        return
    if ended.code == 0 or len(errors) != 1:
        yield f"exit code {ended.code} with {len(errors)} errors: {ended.err.strip()[-600:]}"
    elif "(unexpected" in errors[0]:
        yield f"an error that is not ours: {errors[0]}"


def found(folder: Path, store: Path) -> Found:
    """Delete the garbage of a store, and look at the rest."""
    answer = in_process(_found, str(store), is_loaded=True)
    assert isinstance(answer, Found)
    return answer


def _found(path: str) -> Found:
    store = Store(path)
    for garbage in find_garbage(store, older_than_s=-60):
        assert delete_garbage(store, garbage), garbage
    names = [file.relative_to(path).as_posix() for file in Path(path).rglob("*") if file.is_file()]
    # A process that ends between a file and its digest leaves a file that is not covered, and verify says so.
    # One checkpoint more than are kept is cleared away by the next one.
    steps = sorted(name for name in names if _STEP.search(name))
    names = [name for name in names if name not in steps[:-1]]
    # A cache is made by the next query, and a command that has nothing left to do asks none.
    names = [name for name in names if name not in {layout.CATALOG, layout.CHECKED}]
    files = Counter(_RANDOM.sub("N", name) for name in names if not name.endswith(layout.digest("")))
    damage = [f"{d.file}: {d.problem}" for d in verify(store) if d]
    return Found(contents(store), dict(files), damage)


def _difference(after: object, expected: object) -> str:
    if isinstance(after, dict) and isinstance(expected, dict):
        keys = [key for key in {**after, **expected} if after.get(key) != expected.get(key)]
        return ", ".join(f"{key}: {after.get(key)} instead of {expected.get(key)}" for key in keys[:4])[:500]
    return str(after)[:300]


def main(step: int = 1, seed: int = 0) -> int:
    def ending(trial: Trial) -> str:
        return "ended with an error" if trial.ended.code else "succeeded all the same"

    with tempfile.TemporaryDirectory() as name:
        return tally(trials(Path(name), step, seed), "calls that failed", ending)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
