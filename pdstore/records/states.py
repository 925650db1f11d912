"""The states of a store's pipeline: numbered records that are only created, each with the digest of the one before.

Who changes the pipeline reads the newest state and creates the next number; if another was first, it is told. So two
changes at once never mix, and a reader that holds one state sees the layers of one moment. ``pipeline.json`` is a copy
of the newest state, for those who read a store without this program. It also shows whether the newest record was lost.
A store of an earlier release has ``pipeline.json`` alone: that is its state 0.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pdstore import layout
from pdstore.errors import CorruptData, PdError, UsageError
from pdstore.files import Files
from pdstore.fingerprint import digest
from pdstore.records.sealed import is_sealed, seal, unseal

__all__ = [
    "PipelineState",
    "add_removed",
    "add_state",
    "chosen_state",
    "newest_state",
    "read_state",
    "restore_copy",
    "restore_state",
    "state_numbers",
    "state_problems",
]

FIX = "Run: pd verify --repair"
_TRIES = 10


@dataclass(frozen=True)
class PipelineState:
    """One state of the pipeline.

    Attributes:
        number: rises by 1 with each change. before: digest of the state before; empty for the first.
        created: when it was recorded, seconds since 1970, UTC; 0 if an earlier release did. who: user and host.
        current: node -> fingerprint of the layer that its settings lead to.
        shown: node -> the layer that the views showed when the state was recorded.
        accepted: node -> the layer that a person has asked for.
        removed: node -> layers that were deleted, up to this state.
        spec, overrides, files: the pipeline itself, as JSON values, as :class:`stages.plan.project.Project` has them;
            None where a record lacks them.
    """

    current: Mapping[str, str]
    number: int = 0
    created: float = 0.0
    who: str = ""
    before: str = ""
    shown: Mapping[str, str] = field(default_factory=dict)
    accepted: Mapping[str, str] = field(default_factory=dict)
    removed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spec: Mapping[str, Any] | None = None
    overrides: Mapping[str, Any] | None = None
    files: Mapping[str, Any] | None = None

    @property
    def digest(self) -> str:
        return digest(asdict(self))

    @classmethod
    def parse(cls, data: bytes) -> PipelineState:
        """Raises ValueError, KeyError, TypeError or AttributeError if it is no record of a state."""
        values = unseal(data)
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        for name in ("current", "shown", "accepted"):
            if name in known or name == "current":
                known[name] = {str(node): _text(layer) for node, layer in values[name].items()}
        known["removed"] = {str(node): tuple(map(_text, layers)) for node, layers in known.get("removed", {}).items()}
        if type(known.get("number", 0)) is not int:
            raise TypeError("its number is none")
        return cls(**known)

    def has_same_pipeline(self, other: PipelineState) -> bool:
        """Whether the same nodes have the same settings."""
        return digest([self.spec, self.overrides, self.current]) == digest([other.spec, other.overrides, other.current])

    def is_as(self, other: PipelineState) -> bool:
        """Whether nothing but the time, the number and the author differ."""
        values = ({**asdict(state), "number": 0, "created": 0, "who": "", "before": ""} for state in (self, other))
        return len({digest(value) for value in values}) == 1


def newest_state(files: Files) -> PipelineState | None:
    """The newest state; None if no pipeline is recorded. Cost: a listing and two small files.

    Raises:
        CorruptData: it is damaged, or lost.
    """
    numbers = state_numbers(files)
    copied = _copy(files, is_needed=not numbers)
    if not numbers:
        if copied is not None and copied.number:
            raise _lost(files, copied.number)
        return copied
    if copied is not None and copied.number > numbers[-1]:
        raise _lost(files, copied.number)
    return _read(files, numbers[-1])


def read_state(files: Files, number: int) -> PipelineState:
    """One state.

    Raises:
        FileNotFoundError: there is no such state.
        CorruptData: it is damaged.
    """
    if number == 0 and not state_numbers(files):
        copied = _copy(files, is_needed=True)
        if copied is None:
            raise FileNotFoundError(files.full(layout.PIPELINE))
        return copied
    return _read(files, number)


def chosen_state(files: Files, at: int | float | None = None) -> PipelineState:
    """The state with a number, the one that was valid at a time (a float, seconds since 1970), or the newest.

    Raises:
        UsageError: there is none.
        CorruptData: it is damaged.
    """
    newest = newest_state(files)
    if newest is None:
        raise UsageError("no pipeline is recorded", files.url, "Make the store again with: pd init")
    if at is None:
        return newest
    fix = "See the states with: pd config log"
    if isinstance(at, int):
        try:
            return read_state(files, at)
        except FileNotFoundError:
            raise UsageError(f"there is no state {at}; the newest is {newest.number}", files.url, fix) from None
    for number in reversed(state_numbers(files) or [0]):
        state = read_state(files, number)
        if state.created <= at:
            return state
    raise UsageError("the first state of the pipeline is younger than that", files.url, fix)


def add_state(files: Files, state: PipelineState, base: PipelineState | None) -> PipelineState:
    """Record ``state`` as the one that follows ``base``, by this user and now. ``base`` itself, if nothing differs.

    Raises:
        PdError: somebody else has changed the pipeline since ``base`` was read.
        StorageFailure: no space, or no permission; nothing was recorded.
    """
    if base is not None and state.is_as(base):
        return base
    number = 0 if base is None else base.number + 1
    if base is not None and not state_numbers(files):
        # A store of an earlier release: what it had becomes a record like those that follow.
        files.create(layout.pipeline(base.number), seal(asdict(base)))
    new = replace(state, number=number, created=time.time(), who=_person(), before="" if base is None else base.digest)
    if not files.create_own(layout.pipeline(number), seal(asdict(new))):
        other = _read(files, number)
        if other.has_same_pipeline(new) and other.removed == new.removed:
            return other  # another worker has recorded the same change
        problem = f"{other.who} has changed the pipeline in the meantime (state {number}); nothing was recorded"
        raise PdError(problem, files.full(layout.pipeline(number)), "Run the same command again, if it is still right")
    files.write(layout.PIPELINE, seal(asdict(new)))
    return new


def add_removed(files: Files, node: str, layer: str) -> None:
    """Record that a layer was deleted, so that no snapshot takes it for one that was never computed."""
    for _ in range(_TRIES):
        base = newest_state(files)
        if base is None or layer in base.removed.get(node, ()):
            return
        removed = {**base.removed, node: (*base.removed.get(node, ()), layer)}
        try:
            add_state(files, replace(base, removed=removed), base)
        except PdError:
            continue  # somebody changed the pipeline in the meantime; both changes hold
        return


def state_numbers(files: Files) -> list[int]:
    """The numbers of all recorded states, rising; none in a store of an earlier release."""
    stems = (name.removesuffix(".json") for name in files.names(layout.PIPELINES) if name.endswith(".json"))
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def state_problems(files: Files) -> list[tuple[str, str]]:
    """Path and problem of each state that is damaged, lost, or does not follow the one before it."""
    found, numbers, before = list[tuple[str, str]](), state_numbers(files), None
    copied = _copy(files, is_needed=False)
    last = max([*numbers, copied.number if copied is not None else 0]) if numbers or copied is not None else -1
    for number in range(last + 1 if numbers or last > 0 else 0):
        try:
            state = _read(files, number)
        except FileNotFoundError:
            found.append((layout.pipeline(number), "missing"))
        except CorruptData as error:
            found.append((layout.pipeline(number), error.problem))
        else:
            if before is not None and before.number == number - 1 and state.before != before.digest:
                found.append((layout.pipeline(number), f"it does not follow state {number - 1} as that is now"))
            before = state
    return found


def restore_state(files: Files, number: int) -> bool:
    """Write a damaged or lost state again from the copy in ``pipeline.json``. False if the copy is of another state."""
    copied = _copy(files, is_needed=False)
    if copied is None or copied.number != number or not is_sealed(files.read(layout.PIPELINE)):
        return False
    files.write(layout.pipeline(number), seal(asdict(copied)))
    return True


def restore_copy(files: Files) -> bool:
    """Write ``pipeline.json`` again from the newest state. False if there is none."""
    numbers = state_numbers(files)
    if not numbers:
        return False
    files.write(layout.PIPELINE, seal(asdict(_read(files, numbers[-1]))))
    return True


def _read(files: Files, number: int) -> PipelineState:
    path = layout.pipeline(number)
    data = files.read(path)
    try:
        state = PipelineState.parse(data)
        if state.number != number:
            raise ValueError(f"it is that of state {state.number}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(files, path, error) from None
    return state


def _copy(files: Files, *, is_needed: bool) -> PipelineState | None:
    """What ``pipeline.json`` holds; None if it is not there, or is damaged and not needed."""
    try:
        return PipelineState.parse(files.read(layout.PIPELINE))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if is_needed:
            raise _damaged(files, layout.PIPELINE, error) from None
        return None


def _damaged(files: Files, path: str, error: Exception) -> CorruptData:
    problem = f"the file is not a record that this program wrote ({error!s})"
    return CorruptData(problem, files.full(path), "Run: pd verify --repair, or restore the file from a copy")


def _lost(files: Files, number: int) -> CorruptData:
    return CorruptData("the newest state of the pipeline is missing", files.full(layout.pipeline(number)), FIX)


def _person() -> str:
    try:
        user = os.environ.get("PD_WHO") or getpass.getuser()
    except (KeyError, OSError):  # no name for the number of the user, as in some containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {value!r}")
    return value
