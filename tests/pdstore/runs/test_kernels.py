from __future__ import annotations

import numpy as np

from pdstore import masks, runs
from pdstore.ragged import Ragged
from pdstore.runs import kernels, set_kernels


def test_runs_of_a_string() -> None:
    """Each run ends where the next begins; the number of the first bad string is given."""
    data = np.frombuffer(b"1236", np.uint8)  # runs 1, 2, 3 and 6 + 2: the fourth is a difference from the second
    ends, offsets = np.zeros(8, np.int64), np.zeros(2, np.int64)
    assert kernels.read(data, np.array([0, 4]), 14, ends, offsets) == -1
    assert ends[: offsets[1]].tolist() == [1, 3, 6, 14]
    assert kernels.read(data, np.array([0, 4]), 15, ends, offsets) == 0


def test_each_function_is_compiled_once() -> None:
    """Whatever masks come in, the arguments have the same types, so nobody waits for a second compilation."""
    whole = runs.full(3, 4)
    for rle in (Ragged.from_list([]), masks.encode(np.ones((2, 3, 4))), runs.strings(whole)):
        found = runs.read(rle, 3, 4)
        for stack in (found, found.take(np.arange(0)), runs.intersect(found, whole)):
            runs.strings(stack)
            runs.areas(stack)
            runs.boxes(stack)
            runs.areas_inside(stack, whole)
            for order in ([], np.arange(len(stack))[::-1], np.broadcast_to(0, min(len(stack), 1))):
                runs.one_per_pixel(stack, order, whole)
            runs.unions(stack, range(len(stack)), np.zeros(len(stack), int), 1)
    runs.from_labels(np.zeros((3, 4), np.uint8), 2)
    for module in (kernels, set_kernels):
        counts = {name: len(getattr(module, name).signatures) for name in module.__all__}
        assert counts == dict.fromkeys(counts, 1)
