"""Cuts the power at moments of the commands that make a small store, and sees what is left.

``python -m tests.faults.power_cuts [STEP] [SEED]`` tries every STEP-th moment, and prints what was not as it should be.
"""

from __future__ import annotations

import io
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from pdstore import Layer, Store
from pdstore.errors import CorruptData, PdError
from pdstore.files import Files
from pdstore.verify import verify
from tests.compare_stores import contents
from tests.faults.commands import COMMANDS, make_pictures, pd
from tests.faults.lost_writes import Event, Recording, disk_after
from tests.faults.tally import tally
from tests.forks import in_process

__all__ = ["Cut", "cuts"]

SHARES = (0.0, 0.5, 1.0)
STORE_MADE = "store made"
WRITING = ("init", "stages", "training", "compact", "sql")
Contents = dict[str, dict[int, str]]


@dataclass(frozen=True)
class Cut:
    """The power was cut after ``moment`` events; of the names that were not synced, ``share`` arrived."""

    moment: int
    share: float
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return f"after {self.moment} events, {self.share:.0%} of the names: {'; '.join(self.problems)}"


def cuts(folder: Path, step: int, seed: int, complete_every: int) -> Iterator[Cut]:
    """Every ``step``-th moment, in three ways; of every ``complete_every``-th the commands are given again."""
    make_pictures(folder)
    store, chance, tried = folder / "store", random.Random(seed), 0
    events, reports, expected = in_process(_record, str(folder), str(store), is_loaded=True)
    for moment in range(chance.randrange(step), len(events) + 1, step):
        told = [what for count, what in reports if count <= moment]
        for share in SHARES:
            place = folder / "left" / "store"
            shutil.rmtree(place.parent, ignore_errors=True)
            place.parent.mkdir()
            disk_after(events[:moment], str(store), place, chance, share)
            problems = in_process(_problems, str(place), told, expected, is_loaded=True)
            tried += 1
            if tried % complete_every == 0 and not problems:
                problems = _completed(folder, place, expected)
            yield Cut(moment, share, tuple(problems))


def _record(folder: str, store: str) -> tuple[list[Event], list[tuple[int, object]], Contents]:
    """In a process of its own: run the commands, and note each commit when it is reported."""
    from cli.main import run_command

    recording, commit = Recording(store), Layer.commit
    recording.install()

    def reported(self: Layer, unit: int, *arguments: object, **options: object) -> object:
        manifest = commit(self, unit, *arguments, **options)  # type: ignore[arg-type]
        recording.report((self.node, unit, manifest.content))
        return manifest

    Layer.commit = reported  # type: ignore[assignment,method-assign]
    places = {"STORE": store, "IMAGES": f"{folder}/images", "PRESET": f"{folder}/preset.yaml"}
    for name in WRITING:
        words = [places.get(word, word) for word in COMMANDS[name]]
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
            code = run_command(words if name == "init" else ["--store", store, *words])
        assert code == 0, err.getvalue()
        if name == "init":
            recording.report(STORE_MADE)
    return recording.events, recording.reports, contents(Store(store))


def _problems(place: str, told: list[object], expected: Contents) -> list[str]:
    """In a process of its own: what was reported is there; what else is there is right, or verify names it."""
    if not Files(place).exists("store.json"):
        return ["the store is gone"] if told else []
    try:
        store = Store(place)
        found = contents(store)
    except CorruptData as error:
        return [f"what was reported cannot be read: {error}"] if told else []
    lost = [f"{node} unit {unit} was reported and is not there" for node, unit, content in _commits(told)
            if found.get(node, {}).get(unit) != content]  # fmt: skip
    damaged = [f"{damage.node} {damage.file}: {damage.problem}" for damage in verify(store) if damage]
    wrong = [
        f"{node} unit {unit} has other content"
        for node, units in found.items()
        for unit, content in units.items()
        if content != expected[node][unit]
    ]
    # Nothing has been damaged: a file that was not finished is no part of anything.
    return [*lost, *wrong, *(f"verify names {text}" for text in damaged if told)]


def _commits(told: list[object]) -> Iterator[tuple[str, int, str]]:
    yield from (what for what in told if isinstance(what, tuple))


def _completed(folder: Path, place: Path, expected: Contents) -> list[str]:
    """The same commands bring the store to the same end."""
    for name in WRITING:
        ended = pd(folder, name, place)
        if ended.code and not (name == "init" and "already exists" in ended.err):
            return [f"{name} failed afterwards: {ended.err.strip()[-300:]}"]
    try:
        return [] if contents(Store(str(place))) == expected else ["the commands lead to another end"]
    except PdError as error:
        return [str(error)]


def main(step: int = 1, seed: int = 0, complete_every: int = 10) -> int:
    with tempfile.TemporaryDirectory() as name:
        return tally(cuts(Path(name), step, seed, complete_every), "power cuts", lambda cut: "without loss")


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
