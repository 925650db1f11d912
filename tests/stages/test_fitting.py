"""Pictures that do not fit: batches are halved, and a picture that does not fit alone is an error row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from pdstore.errors import Preempted
from stages.fitting import finished, fitting, or_rejected, refusal
from stages.unit import Control

SMALL, LARGE = np.zeros((4, 5, 3), np.uint8), np.zeros((60, 80, 3), np.uint8)


class Machine:
    """Has room for a number of pixels, and remembers which batches it was given."""

    def __init__(self, pixels: int) -> None:
        self.pixels, self.batches = pixels, []

    def __call__(self, ids: list[int], pictures: list[np.ndarray]) -> list[int]:
        self.batches.append(list(ids))
        if sum(p.shape[0] * p.shape[1] for p in pictures) > self.pixels:
            raise MemoryError
        return [10 * i for i in ids]


@pytest.fixture
def unit(bench: Any) -> Any:
    return bench.unit(images=bench.images(*[SMALL] * 4))


def test_a_batch_that_fits_is_computed_at_once(unit: Any) -> None:
    """Results come with their image ids, in order."""
    machine = Machine(1000)
    assert list(fitting(unit, [([0, 1], [SMALL] * 2), ([3], [SMALL])], machine)) == [(0, 0), (1, 10), (3, 30)]
    assert machine.batches == [[0, 1], [3]] and not unit.faults


def test_a_batch_that_does_not_fit_is_halved(unit: Any) -> None:
    """Down to what fits; nothing is lost, the order stays, and a line says so."""
    lines: list[str] = []
    unit.control = Control(note=lines.append)
    machine = Machine(45)
    assert list(fitting(unit, [([0, 1, 2, 3], [SMALL] * 4)], machine)) == [(0, 0), (1, 10), (2, 20), (3, 30)]
    assert machine.batches == [[0, 1, 2, 3], [0, 1], [2, 3]] and not unit.faults
    assert lines == ["4 pictures of at most 5x4 pixels did not fit (MemoryError); trying 2 at a time"]


def test_results_that_were_given_are_not_computed_again(unit: Any) -> None:
    """If they come one after the other, and a later one does not fit beside them."""
    batches: list[list[int]] = []

    def compute(ids: list[int], pictures: list[np.ndarray]) -> Iterator[int]:
        batches.append(list(ids))
        for number, image_id in enumerate(ids):
            if number == 2:
                raise MemoryError
            yield 10 * image_id

    assert list(fitting(unit, [([0, 1, 2, 3], [SMALL] * 4)], compute)) == [(i, 10 * i) for i in range(4)]
    assert batches == [[0, 1, 2, 3], [2, 3]] and not unit.faults


def test_a_picture_that_does_not_fit_alone_is_an_error_row(unit: Any) -> None:
    """The others of its batch are computed."""
    found = list(fitting(unit, [([0, 1, 2], [SMALL, LARGE, SMALL])], Machine(100)))
    assert found == [(0, 0), (2, 20)]
    assert [(f["image_id"], f["subject"], f["reason"]) for f in unit.faults] == [(1, "0_1.png", "out_of_memory")]
    assert unit.faults[0]["detail"] == "a picture of 80x60 pixels did not fit (MemoryError)"
    assert unit.num_rejected() == 1


def test_any_other_error_is_the_programs(unit: Any) -> None:
    """It is raised: only what says that the input does not fit is about the picture."""

    def broken(ids: list[int], pictures: list[np.ndarray]) -> list[int]:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        list(fitting(unit, [([0], [SMALL])], broken))
    with pytest.raises(ValueError, match="a mistake"), or_rejected(unit, 0):
        raise ValueError("a mistake")
    assert not unit.faults


def test_one_image_or_one_object_is_rejected(unit: Any) -> None:
    """An object that does not fit does not count as a lost image."""
    with or_rejected(unit, 2):
        raise OverflowError("at most 2147483647 values, found 9999999999")
    with or_rejected(unit, 3, "object 1", of="object"):
        raise MemoryError
    assert [(f["image_id"], f["reason"], f["detail"]) for f in unit.faults] == [
        (2, "too_large", "at most 2147483647 values, found 9999999999"),
        (3, "out_of_memory", "object 1: MemoryError"),
    ]
    assert unit.num_rejected() == 1


def test_what_libraries_raise_is_understood() -> None:
    """The real errors of torch and NumPy about what is too large; errors about anything else are not."""
    with pytest.raises(RuntimeError) as torch_error:
        torch.empty(1 << 60, dtype=torch.uint8)
    with pytest.raises(MemoryError) as numpy_error:
        np.ones(1 << 60, np.uint8)
    with pytest.raises(RuntimeError) as mismatch:
        torch.ones(2) + torch.ones(3)
    assert refusal(torch_error.value) == refusal(numpy_error.value) == "out_of_memory"
    assert refusal(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")) == "out_of_memory"
    assert refusal(mismatch.value) is None and refusal(ValueError("x")) is None


def test_finishing_keeps_the_order(unit: Any) -> None:
    """Whatever each takes."""
    assert list(finished(unit, [(2, "b"), (0, "c")], lambda image_id, found: f"{found}{image_id}", ahead=2)) == [
        (2, "b2"),
        (0, "c0"),
    ]


def test_what_does_not_fit_when_it_is_finished_is_tried_once_more(unit: Any) -> None:
    """If it does not fit then either, it becomes an error row, and the others keep their results."""
    tries: list[int] = []

    def finish(image_id: int, found: str) -> str:
        tries.append(image_id)
        if image_id == 2 or (image_id == 1 and tries.count(1) == 1):
            raise MemoryError(f"no room for {found}")
        return found

    assert list(finished(unit, [(0, "a"), (1, "b"), (2, "c"), (3, "d")], finish, ahead=2)) == [
        (0, "a"),
        (1, "b"),
        (3, "d"),
    ]
    assert sorted(tries) == [0, 1, 1, 2, 2, 3]
    assert [(f["image_id"], f["reason"], f["detail"]) for f in unit.faults] == [(2, "out_of_memory", "no room for c")]


def test_a_mistake_in_finishing_is_raised(unit: Any) -> None:
    """It is the program's, and no error row; a request to stop goes through, too."""
    with pytest.raises(ZeroDivisionError):
        list(finished(unit, [(0, 1), (1, 0)], lambda image_id, found: 1 // found, ahead=2))
    unit.control = Control(should_stop=lambda: True)
    with pytest.raises(Preempted):
        list(finished(unit, fitting(unit, [([0], [SMALL])], Machine(1000)), lambda image_id, found: found, ahead=2))
    assert not unit.faults
