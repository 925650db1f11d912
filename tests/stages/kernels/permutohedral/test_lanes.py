"""Four numbers at once, in a compiled function."""

from __future__ import annotations

import numba
import numpy as np

from stages.kernels.permutohedral import lanes


@numba.njit
def everything(array: np.ndarray, out: np.ndarray, factor: float, row: int, group: int) -> tuple[float, float]:
    numbers = lanes.load(array, row, group)
    changed = lanes.add(lanes.scale(np.float32(factor), numbers), lanes.splat(np.float32(0.25)))
    lanes.store(out, row, group, changed)
    return lanes.total(numbers), lanes.largest(numbers)


def test_every_operation_is_that_of_numpy() -> None:
    """Only the chosen four numbers are read and written; sum and maximum are of all four, wherever the largest is."""
    rng = np.random.default_rng(0)
    array = rng.standard_normal((5, 3 * lanes.NUM_LANES)).astype(np.float32)
    for row in range(5):
        for group in range(3):
            out, own = np.zeros_like(array), slice(4 * group, 4 * group + 4)
            total, largest = everything(array, out, 1.5, row, group)
            expected = np.zeros_like(array)
            expected[row, own] = np.float32(1.5) * array[row, own] + np.float32(0.25)
            assert (out == expected).all()
            a, b, c, d = array[row, own]
            assert total == (a + c) + (b + d) and largest == max(a, b, c, d)
