"""What follows from the declaration of a stage."""

from __future__ import annotations

import pytest

from stages.registry import STAGES
from stages.stage import BUCKET_SIZE


@pytest.mark.parametrize(
    ("name", "blocks", "classes", "expected"),
    [
        ("crf", 7, 1, 7),
        ("crf", 0, 1, 0),
        ("ranking", 7, 1, 1),
        ("ranking", 7, BUCKET_SIZE, 1),
        ("ranking", 7, BUCKET_SIZE + 1, 2),
        ("ranking", 7, 1000, 16),
        ("distill-train", 7, 1000, 1),
    ],
)
def test_units_are_blocks_buckets_or_the_whole(name: str, blocks: int, classes: int, expected: int) -> None:
    """A bucket holds up to 64 classes; a training has one unit."""
    assert STAGES[name].num_units(blocks, classes) == expected


def test_a_unit_that_is_no_block_needs_its_whole_input() -> None:
    """Ranking and trainings do; a stage of blocks does not."""
    assert [STAGES[name].is_barrier for name in ("crf", "ranking", "distill-train")] == [False, True, True]
