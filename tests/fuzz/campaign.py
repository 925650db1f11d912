"""Feed mutated inputs to every door, and see what comes out.

``python -m tests.fuzz.campaign COUNT [SEED] [DOOR…]`` prints, per door, how many inputs were read, how many were
refused by one of our errors, and how many ended otherwise: in an error that is not ours, in more than 5 seconds of
computing, in more memory than 1 GiB, or in the end of the process. Those are printed with what makes them again.

Input i of a seed is the same in every run. The inputs are read in a process of their own, which is started again
behind an input that ended it.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from pdstore import PdError
from stages.source.images import ImageFault
from tests.fuzz.doors import DOORS

__all__ = ["Outcome", "campaign", "main"]

HANG_S = 5.0
STUCK_S = 120.0
"""Of wall time, after which a process is ended that does not react: others use the machine, too."""
MEMORY = 1 << 30
FINE = ("read", "refused")
_SHM = "/dev/shm"


@dataclass(frozen=True)
class Outcome:
    """What came of input ``number``: read, refused, raw, hang, memory, or crash; ``detail`` says more of these."""

    door: str
    number: int
    word: str
    detail: str = ""


class _Hang(BaseException):
    pass


def campaign(folder: Path, count: int, seed: int, doors: Sequence[str] = ()) -> Iterator[Outcome]:
    """The outcomes of ``count`` inputs, divided over the doors by their shares."""
    chosen = {name: DOORS[name] for name in doors or DOORS}
    shares = sum(door.share for door in chosen.values())
    for name, door in chosen.items():
        own, number = max(1, round(count * door.share / shares)), 0
        while number < own:
            for outcome in _process(folder, name, seed, number, own):
                yield outcome
                number = outcome.number + 1


def _process(folder: Path, door: str, seed: int, first: int, stop: int) -> Iterator[Outcome]:
    """The outcomes from ``first`` on, up to one that ended the process."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(there, folder, door, seed, first, stop), daemon=True)
    process.start()
    there.close()
    number = first
    try:
        while number < stop:
            if not here.poll(STUCK_S):
                yield Outcome(door, number, "hang", f"no answer for {STUCK_S:.0f} s")
                return
            try:
                outcome = here.recv()
            except EOFError:
                process.join()
                yield Outcome(door, number, "crash", f"the process ended with {process.exitcode}")
                return
            yield outcome
            number = outcome.number + 1
    finally:
        process.kill()
        process.join()


def _work(pipe: Connection, folder: Path, name: str, seed: int, first: int, stop: int) -> None:
    door = DOORS[name]
    place = folder / name.replace(" ", "-")
    place.mkdir(exist_ok=True)
    os.chdir(place)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # What libraries written in C say of damaged files.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        seeds = door.seeds(place)
        for data in seeds:
            with contextlib.suppress(PdError, ImageFault):
                door.feed(place, data)
    except Exception:
        pipe.send(Outcome(name, stop, "broken", _where()))
        raise
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGPROF, _stop)
    for number in range(first, stop):
        data = door.mutated(random.Random(f"{seed} {name} {number}"), seeds)
        pipe.send(_outcome(door.feed, place, data, name, number))


def _outcome(feed: object, place: Path, data: bytes, name: str, number: int) -> Outcome:
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        feed(place, data)  # type: ignore[operator]
    except (PdError, ImageFault) as error:
        str(error)
        return Outcome(name, number, "refused")
    except _Hang:
        return Outcome(name, number, "hang", _where())
    except MemoryError:
        return Outcome(name, number, "memory", _where())
    except BaseException:
        return Outcome(name, number, "raw", _where())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return Outcome(name, number, "read")


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Hang


def _where() -> str:
    """The error, and the innermost of our own lines."""
    kind, error, trace = sys.exc_info()
    ours = [f for f in traceback.extract_tb(trace) if "site-packages" not in f.filename and "/tests/" not in f.filename]
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(ours[-4:]))
    return f"{kind.__name__ if kind else ''}: {str(error)[:200]} at {places}"


def main(words: Sequence[str]) -> int:
    """Run a campaign and print it. Returns 1 if an input ended in anything but being read or refused."""
    count, seed = int(words[0]) if words else 20_000, int(words[1]) if len(words) > 1 else 0
    words_of: dict[str, Counter[str]] = {}
    bad: Counter[str] = Counter()
    # In memory, where there is such a folder: to have a thousand small stores on a disk takes longer than to read them.
    with tempfile.TemporaryDirectory(prefix="pd-fuzz-", dir=_SHM if os.path.isdir(_SHM) else None) as folder:
        for outcome in campaign(Path(folder), count, seed, words[2:]):
            words_of.setdefault(outcome.door, Counter())[outcome.word] += 1
            if outcome.word not in FINE:
                kind = f"{outcome.word} {outcome.detail}"
                bad[kind] += 1
                if bad[kind] == 1:
                    print(f"{outcome.door} {outcome.number}: {kind}", flush=True)
    for name, found in words_of.items():
        print(f"{name:16} " + "  ".join(f"{number} {word}" for word, number in found.most_common()))
    total = sum(words_of.values(), Counter[str]())
    print(f"{sum(total.values())} inputs, seed {seed}: " + ", ".join(f"{n} {word}" for word, n in total.most_common()))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
