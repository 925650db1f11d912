"""What follows from the declaration of a stage."""

from __future__ import annotations

import pytest

from schemas.stages import RankingSettings
from stages.registry import STAGES


@pytest.mark.parametrize(
    ("name", "blocks", "classes", "expected"),
    [
        ("crf", 7, 1, 7),
        ("crf", 0, 1, 0),
        ("ranking", 7, 1, 1),
        ("ranking", 7, 64, 1),
        ("ranking", 7, 65, 2),
        ("ranking", 7, 1000, 16),
        ("distill-train", 7, 1000, 1),
    ],
)
def test_units_are_blocks_buckets_or_the_whole(name: str, blocks: int, classes: int, expected: int) -> None:
    """A bucket holds up to 64 classes unless its node says otherwise; a training has one unit."""
    stage = STAGES[name]
    assert stage.num_units(stage.settings(), blocks, classes) == expected
    assert name != "ranking" or stage.num_units(RankingSettings(classes_per_unit=1), blocks, classes) == classes


def test_a_unit_that_is_no_block_needs_its_whole_input() -> None:
    """Ranking and trainings do; a stage of blocks does not."""
    assert [STAGES[name].is_barrier for name in ("crf", "ranking", "distill-train")] == [False, True, True]
