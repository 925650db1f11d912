"""The table of losses before and after a change."""

from __future__ import annotations

from bench.ledger import Ledger, table
from stages.evaluation.losses import Loss


def ledger(seconds: float, *rows: tuple[str, str, float, float]) -> Ledger:
    """Rows of (step, node, mIoU, lost)."""
    losses = {(s, n): Loss(i, n, s, "names", "", miou, 0.0, lost) for i, (s, n, miou, lost) in enumerate(rows)}
    return Ledger(losses, seconds)


def test_a_row_has_each_seed_before_and_after_and_the_means() -> None:
    """The mean is over seeds; a step that one of the pipelines does not have is a dash there."""
    before = {
        3: ledger(100, ("division", "grouping", 60, 28), ("naming", "distill", 58, 12)),
        5: ledger(200, ("division", "grouping", 70, 20), ("naming", "distill", 60, 10)),
    }
    after = {
        3: ledger(120, ("division", "grouping", 66, 22), ("naming", "distill", 64, 6), ("naming", "distill-2", 65, 5)),
        5: ledger(210, ("division", "grouping", 74, 16), ("naming", "distill", 66, 4), ("naming", "distill-2", 68, 3)),
    }
    assert table(before, after).splitlines() == [
        "| step | of | seed 3 | seed 5 | mean |",
        "|---|---|---|---|---|",
        "| division | grouping | 28.0 (60.0) → 22.0 (66.0) | 20.0 (70.0) → 16.0 (74.0) | 24.0 (65.0) → 19.0 (70.0) |",
        "| naming | distill | 12.0 (58.0) → 6.0 (64.0) | 10.0 (60.0) → 4.0 (66.0) | 11.0 (59.0) → 5.0 (65.0) |",
        "| naming | distill-2 | – → 5.0 (65.0) | – → 3.0 (68.0) | – → 4.0 (66.5) |",
        "| seconds |  | 100 → 120 | 200 → 210 | 150 → 165, × 1.10 |",
    ]
