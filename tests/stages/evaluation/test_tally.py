from __future__ import annotations

from typing import Any

import pytest

from pdstore import Layer
from schemas.tables import LABELS
from stages.evaluation.tally import Counts, Tally
from stages.kernels.protocol import HONEST, REFERENCE
from tests.stages.nodes.test_evaluate import HEAD, TAIL, label, roles

__all__ = ["roles"]

PARTS = {("cat", "head"): 0, ("cat", "tail"): 1}


def tally(layers: dict[str, Layer], **changes: Any) -> Tally:
    given = {"clusters": {"predicted": 2}, "parts": PARTS, "protocols": (HONEST, REFERENCE), "splits": ("train", "val")}
    return Tally(**{"layers": layers, "limits": (1, 10), **given, **changes})


def metrics(counts: Counts) -> dict[tuple[str, str], dict[str, float]]:
    return {key: evaluation.scores().metrics for key, evaluation in counts.items()}


def last(counting: Tally, blocks: list[int], processes: int = 1) -> Counts:
    return list(counting.of_blocks(blocks, processes))[-1]


def test_counts_of_blocks_add_up(roles) -> None:
    """After each block come the counts so far; the last are the sum of the counts of every block."""
    counting = tally(roles)
    running = list(counting.of_blocks([0, 1], 1))
    one, two = counting.of_block(0), counting.of_block(1)
    total = {key: one[key] + two[key] for key in one}
    key = "predicted", "reference"
    assert metrics(running[0])[key] == metrics(one)[key] != metrics(counting.nothing())[key]
    assert metrics(running[1]) == metrics(total)
    assert metrics(total)["predicted", "honest"]["C-mIoU"] == pytest.approx(100)


def test_the_order_of_blocks_does_not_matter(roles) -> None:
    """The voting split may come before the scored split or after it."""
    assert metrics(last(tally(roles), [1, 0])) == metrics(last(tally(roles), [0, 1]))


def test_processes_do_not_change_the_counts(roles) -> None:
    """Two processes that share the blocks give the numbers of one, in the same order."""
    assert metrics(last(tally(roles), [0, 1], processes=2)) == metrics(last(tally(roles), [0, 1]))


@pytest.mark.parametrize(
    ("changes", "honest", "reference"),
    [
        ({}, 2, 4),
        ({"splits": ("train", "test")}, 0, 4),
        ({"reference_splits": ("val",)}, 2, 2),
        ({"reference_splits": ("val", "train")}, 2, 4),
    ],
)
def test_splits_choose_the_images(roles, changes: dict[str, Any], honest: int, reference: int) -> None:
    """Honest: the test split is scored. Reference: all splits are, or those that are named."""
    counts = last(tally(roles, **changes), [0, 1])
    assert counts["predicted", "honest"].scores().num_images == honest
    assert counts["predicted", "reference"].scores().num_images == reference


def test_every_role_has_counts_of_its_own(bench, roles) -> None:
    """Roles are scored separately, each with its number of clusters; 0 clusters leaves only recall."""
    for unit, ids in ((0, (0, 1)), (1, (4, 5))):
        labels = [label(i, cluster, mask) for i in ids for cluster, mask in ((1, HEAD), (0, TAIL))]
        segments = bench.put("other", LABELS, labels[:1], unit)
    counting = tally({**roles, "segments": segments}, clusters={"predicted": 2, "segments": 0}, protocols=(HONEST,))
    counts = metrics(last(counting, [0, 1]))
    assert set(counts) == {("predicted", "honest"), ("segments", "honest")}
    assert "C-mIoU" in counts["predicted", "honest"] and "C-mIoU" not in counts["segments", "honest"]
    assert counts["segments", "honest"]["AR@10"] < counts["predicted", "honest"]["AR@10"]


def test_no_blocks_give_no_counts(roles) -> None:
    """Without blocks nothing is yielded, whatever the number of processes."""
    assert list(tally(roles).of_blocks([], 4)) == []


def test_true_parts_inside_objects_are_counted_in_their_place(roles) -> None:
    """The role's masks are objects, its clusters the parts: what the object covers is found, the rest is not."""
    whole = {**roles, "predicted": roles["truth_objects"]}
    counts = last(tally(whole, clusters={"predicted": 2}, protocols=(HONEST,), inside=frozenset({"predicted"})), [0, 1])
    scores = counts["predicted", "honest"].scores()
    assert scores.metrics["C-mIoU"] == scores.metrics["AR@10"] == pytest.approx(100)
