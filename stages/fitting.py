"""A picture that does not fit into memory, or that a C library refuses, costs its own rows and no others.

A batch that does not fit is computed in halves, down to single pictures; what does not fit alone becomes a row of
``errors``. So a block never fails for one picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from stages.behind import behind
from stages.device.memory import give_back
from stages.unit import LeftOut, Unit

__all__ = ["finished", "fitting", "or_rejected", "refusal"]

Found = TypeVar("Found")
Result = TypeVar("Result")
Pixels = npt.NDArray[np.uint8]

_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "insufficient memory")
_TOO_LARGE = ("too large", "too many elements", "int32_max", "int_max", "32-bit ind", "32 bit ind", "overflow")


class Rejecting(Protocol):
    """A unit, or several that read the same pictures."""

    def reject(self, image_id: int, reason: str, detail: str) -> None: ...

    def check_stop(self) -> None: ...

    def note(self, text: str) -> None: ...


def fitting(
    unit: Rejecting,
    batches: Iterable[tuple[list[int], list[Pixels]]],
    compute: Callable[[list[int], list[Pixels]], Iterable[Result]],
) -> Iterator[tuple[int, Result]]:
    """(image_id, its result) for the pictures of all batches, in the order of the batches.

    Args:
        batches: (image ids, pictures).
        compute: gives one result per picture of a batch, or of a part of it. If it gives them one after the other, only
            those that are missing when it fails are computed again.
    """
    for ids, pictures in batches:
        waiting = [slice(0, len(ids))]
        while waiting:
            part = waiting.pop()
            unit.check_stop()
            number, reason = part.start, None
            try:
                for image_id, result in zip(ids[part], compute(ids[part], pictures[part]), strict=True):
                    yield image_id, result
                    number += 1
            except Exception as error:
                reason = refusal(error)
                if reason is None:
                    raise
                detail = _detail(error, pictures[part])
            if reason is None:
                continue
            give_back()
            if part.stop - part.start == 1:
                unit.reject(ids[part.start], reason, detail)
            elif number > part.start:
                waiting.append(slice(number, part.stop))
            else:
                middle = (part.start + part.stop) // 2
                unit.note(f"{detail}; trying {middle - part.start} at a time")
                waiting += [slice(middle, part.stop), slice(part.start, middle)]


def finished(
    unit: Rejecting, found: Iterable[tuple[int, Found]], finish: Callable[[int, Found], Result], *, ahead: int
) -> Iterator[tuple[int, Result]]:
    """(image_id, what ``finish`` makes of what was found there), in the same order.

    ``finish`` runs in a thread behind ``found`` (:mod:`stages.behind`). What does not fit into memory is tried once
    more while the network rests; if it does not fit then either, it becomes a row of ``errors``.

    Args:
        found: (image_id, what a network found there), as :func:`fitting` gives it.
        finish: work on the host without torch.
        ahead: how many pictures may wait for it: as many as a batch of the network has.
    """
    for (image_id, given), done in behind(found, lambda pair: _tried(finish, *pair), ahead=ahead):
        outcome = done.result()
        if isinstance(outcome, _Refusal):
            give_back()
            outcome = _tried(finish, image_id, given)
        if isinstance(outcome, _Refusal):
            unit.reject(image_id, outcome.reason, outcome.detail)
        else:
            yield image_id, outcome


@dataclass(frozen=True)
class _Refusal:
    """Why a picture does not fit, without the error, whose traceback would keep what was computed."""

    reason: str
    detail: str


def _tried(finish: Callable[[int, Found], Result], image_id: int, found: Found) -> Result | _Refusal:
    try:
        return finish(image_id, found)
    except Exception as error:
        reason = refusal(error)
        if reason is None:
            raise
        return _Refusal(reason, _detail(error))


@contextmanager
def or_rejected(unit: Unit, image_id: int, subject: str = "", *, of: LeftOut = "image") -> Iterator[None]:
    """What does not fit inside the ``with`` becomes a row of ``errors`` about the image, or about ``subject`` in it."""
    try:
        yield
    except Exception as error:
        reason = refusal(error)
        if reason is None:
            raise
        detail = _detail(error)
        unit.reject(image_id, reason, f"{subject}: {detail}" if subject else detail, of=of)
    else:
        return
    give_back()


def refusal(error: BaseException) -> str | None:
    """``out_of_memory`` or ``too_large`` if the error says that the input does not fit; None for any other error."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out_of_memory"
    if isinstance(error, OverflowError):
        return "too_large"
    if not isinstance(error, RuntimeError):  # what C code raises that has no type for it, such as torch's
        return None
    text = str(error).lower()
    if any(words in text for words in _NO_MEMORY):
        return "out_of_memory"
    return "too_large" if any(words in text for words in _TOO_LARGE) else None


def _detail(error: BaseException, pictures: Sequence[Pixels] = ()) -> str:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    if not pictures:
        return said
    largest = max(pictures, key=lambda pixels: pixels.size)
    count = f"{len(pictures)} pictures of at most" if len(pictures) > 1 else "a picture of"
    return f"{count} {largest.shape[1]}x{largest.shape[0]} pixels did not fit ({said})"
