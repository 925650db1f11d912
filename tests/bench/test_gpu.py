"""The benchmark for GPUs, run in small on the CPU: when there is a GPU, it has to work at the first try."""

from __future__ import annotations

import pytest
import torch

from bench import gpu
from bench.device_time import busy_seconds, union
from bench.gpu_ways import agreement


def test_spans_that_overlap_count_once() -> None:
    """Kernels of two streams run at the same time."""
    assert union([]) == 0
    assert union([(5, 6), (0, 2), (1, 3), (1, 2), (3, 4)]) == 5


def test_a_device_is_busy_while_torch_computes() -> None:
    """The time of operations is counted, each once; what Python does in between is not."""
    numbers = torch.ones(400, 400)
    assert 0 < busy_seconds(lambda: [numbers @ numbers for _ in range(3)], "cpu") < 60
    assert busy_seconds(lambda: sum(range(10_000)), "cpu") == 0


def test_ways_agree_mask_by_mask() -> None:
    """Of the images that both ways have computed; a mask that only one of them has counts against it."""
    node = {(0, 1): b"a", (0, 2): b"b", (1, 1): b"c", (9, 1): b"d"}
    assert agreement(node, {(0, 1): b"a", (0, 2): b"b", (1, 1): b"c"}, 2) == 1
    assert agreement(node, {(0, 1): b"a", (0, 2): b"x", (1, 3): b"c"}, 2) == 1 / 4
    assert agreement({}, {}, 2) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_how_to_try_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The full benchmark would take days on a CPU."""
    with pytest.raises(SystemExit) as stopped:
        gpu.main([])
    assert stopped.value.code == 2 and "--device cpu --small" in capsys.readouterr().err


@pytest.mark.slow
def test_everything_runs_in_small(capsys: pytest.CaptureFixture[str]) -> None:
    """Every part gives its numbers, and both ways of each stage give the same masks."""
    assert gpu.main(["--device", "cpu", "--small"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count('"equal_masks": 1.0') == 3
    for words in ("| proposals |", "| predict |", "| grouping |", "A training step of 2 images", "with all logits"):
        assert words in printed.out
