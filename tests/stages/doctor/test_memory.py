from __future__ import annotations

import pytest

from stages.doctor.memory import PeakMemory

MEGABYTE = 1 << 20


def test_the_peak_is_that_of_the_work_inside() -> None:
    """What was taken and given back before is not in it; each of several names has the same peak."""
    memory = PeakMemory()
    with memory.watch(["large"]):
        held = b"\1" * (300 * MEGABYTE)
        del held
    with memory.watch(["small", "other"]):
        pass
    large, small = memory.by_node["large"], memory.by_node["small"]
    assert large.memory - small.memory > 200 * MEGABYTE and small == memory.by_node["other"]
    assert small.memory > 10 * MEGABYTE


def test_work_that_fails_has_a_peak() -> None:
    """An error goes on, and the peak up to it is kept."""
    memory = PeakMemory()
    with pytest.raises(ValueError, match="failed"), memory.watch(["node"]):
        raise ValueError("failed")
    assert memory.by_node["node"].memory > 0
