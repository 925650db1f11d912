"""Cats of a head, a body and a tail, with one fault at a time, so that every loss is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from pdstore import Rows, Table
from pdstore.errors import UsageError
from schemas.stages import LossesSettings
from schemas.tables import LABELS, OBJECTS, PARTS, PREDICTIONS
from stages.nodes import losses
from stages.unit import Unit
from tests.stages.nodes.records import BLANK, rows_of
from tests.stages.nodes.test_evaluate import label, masked, truth

HEAD, BODY, TAIL = rows_of(0, 4), rows_of(4, 8), rows_of(8, 12)
CAT = HEAD | BODY | TAIL
TRUE = {"head": HEAD, "body": BODY, "tail": TAIL}
VOTERS, TESTED = (0, 1), (4, 5)
Masks = Sequence[np.ndarray]


def segment(image_id: int, number: int, mask: np.ndarray) -> dict[str, Any]:
    return truth(image_id, "", mask) | {"part_id": number}


class Cats:
    """Two cats that name the clusters and two that are scored; every step finds them exactly, unless it is changed."""

    def __init__(self, bench: Any) -> None:
        self.bench, self.num_layers = bench, 0
        bench.images(BLANK, BLANK)
        self.layers = {"images": [bench.images(BLANK, BLANK, unit=1, split="val")]}
        parts = {i: [truth(i, name, mask) for name, mask in TRUE.items()] for i in (*VOTERS, *TESTED)}
        self._put("truth", "truth", PARTS, parts)
        self.objects(CAT)
        self.segments("grouping", [HEAD, BODY, TAIL])
        self.labelled("labels", [HEAD, BODY, TAIL])
        self.labelled("predicted", [HEAD, BODY, TAIL])

    def _put(self, role: str, node: str, table: Table, of_image: Mapping[int, list[dict[str, Any]]]) -> None:
        self.num_layers += 1
        for unit, ids in enumerate((VOTERS, TESTED)):
            rows = [{name: row[name] for name in table.names} for i in ids for row in of_image[i]]
            layer = self.bench.put(f"{node}-{self.num_layers}", table, rows, unit)
        self.layers[role] = [layer]

    def objects(self, mask: np.ndarray) -> None:
        rows = {i: [masked(i, mask) | {"category_name": "cat"}] for i in (*VOTERS, *TESTED)}
        self._put("objects", "detic", OBJECTS, rows)

    def segments(self, node: str, stack: Masks) -> None:
        rows = {i: [segment(i, n, mask) for n, mask in enumerate(stack)] for i in (*VOTERS, *TESTED)}
        self._put("segments", node, PARTS, rows)

    def labelled(self, role: str, stack: Masks, clusters: Mapping[int, Sequence[int]] | None = None) -> None:
        """Masks with the clusters 0, 1, 2, …, or those that are given for an image."""
        table, chosen = (LABELS if role == "labels" else PREDICTIONS), clusters or {}
        rows = {
            i: [
                label(i, cluster, mask) | {"part_name": ""}
                for cluster, mask in zip(chosen.get(i, range(len(stack))), stack, strict=True)
            ]
            for i in (*VOTERS, *TESTED)
        }
        self._put(role, role, table, rows)

    def rows(self, *without: str, **settings: Any) -> Rows:
        process = losses.start(LossesSettings(**settings), self.bench.setup())
        unit = self.bench.unit()
        layers = {role: layer for role, layer in self.layers.items() if role not in without}
        return process(Unit("node", 0, unit.images, layers, training=unit.training)).rows

    def lost(self, *without: str) -> dict[str, float]:
        """Step -> points lost; the naming of predictions is ``last naming``."""
        rows = self.rows(*without)
        names = [
            "last naming" if step == "naming" and node.startswith("predicted") else step
            for node, step in zip(rows["evaluated"], rows["step"], strict=True)
        ]
        return dict(zip(names, rows["lost"].tolist(), strict=True))


@pytest.fixture
def cats(bench) -> Cats:
    return Cats(bench)


NOTHING = dict.fromkeys(("objects", "division", "choice", "naming", "distillation", "last naming"), 0.0)


def test_nothing_is_lost_where_every_step_is_right(cats: Cats) -> None:
    """Each score is 100, and every step costs nothing."""
    assert cats.lost() == pytest.approx(NOTHING)
    rows = cats.rows()
    assert rows["miou"].tolist() == rows["ar"].tolist() == [pytest.approx(100)] * 6
    assert rows["position"].tolist() == list(range(6)) and rows["given"].tolist()[:2] == ["parts", "names"]


def test_half_an_object_is_lost_by_its_mask(cats: Cats) -> None:
    """An object without the tail, and all that follows from it: a third is lost, and only by the first step."""
    cats.objects(HEAD | BODY)
    cats.segments("grouping", [HEAD, BODY])
    cats.labelled("labels", [HEAD, BODY])
    cats.labelled("predicted", [HEAD, BODY])
    assert cats.lost() == pytest.approx(NOTHING | {"objects": 100 / 3})


def test_merged_parts_are_lost_by_division(cats: Cats) -> None:
    """Body and tail in one segment: one of both has an IoU of a half, the other one of 0."""
    merged = [HEAD, BODY | TAIL]
    cats.segments("grouping", merged)
    cats.labelled("labels", merged)
    cats.labelled("predicted", merged)
    assert cats.lost() == pytest.approx(NOTHING | {"division": 50})


def test_a_segment_that_is_not_chosen_is_lost_by_choice(cats: Cats) -> None:
    """The segments are right, but the labels have no tail; the final model finds it again."""
    cats.labelled("labels", [HEAD, BODY])
    assert cats.lost() == pytest.approx(NOTHING | {"choice": 100 / 3, "distillation": -100 / 3})


def test_shuffled_names_are_lost_by_naming(cats: Cats) -> None:
    """The masks are right, but the clusters of held-out cats mean other parts than those that named them."""
    shuffled = dict.fromkeys(TESTED, (1, 2, 0))
    cats.labelled("labels", [HEAD, BODY, TAIL], shuffled)
    assert cats.lost() == pytest.approx(NOTHING | {"naming": 100})
    cats.labelled("predicted", [HEAD, BODY, TAIL], shuffled)
    assert cats.lost() == pytest.approx(NOTHING | {"naming": 100, "last naming": 100})


def test_worse_masks_are_lost_by_distillation(cats: Cats) -> None:
    """The final model finds only a half of each part: the labels lose nothing."""
    cats.labelled("predicted", [rows_of(0, 2), rows_of(4, 6), rows_of(8, 10)])
    assert cats.lost() == pytest.approx(NOTHING | {"distillation": 50})


def test_losses_add_up_to_what_is_missing(cats: Cats) -> None:
    """With a fault in every step, the losses on the way to the final model are 100 minus its mIoU."""
    cats.objects(rows_of(1, 11))
    cats.segments("grouping", [rows_of(1, 6), rows_of(6, 11)])
    cats.labelled("labels", [rows_of(1, 6)])
    cats.labelled("predicted", [rows_of(0, 5), rows_of(5, 9), rows_of(10, 12)], {4: (0, 2, 1)})
    lost = cats.lost()
    assert sum(lost.values()) - lost["naming"] == pytest.approx(100 - cats.rows()["miou"][-1])
    assert min(abs(value) for value in lost.values() if value != lost["naming"]) > 1


def test_segments_are_scored_node_by_node(cats: Cats) -> None:
    """The second node of the segments is what smoothing made of the first; here it repairs the division."""
    cats.segments("crf", [HEAD, BODY, TAIL])
    smoothed = cats.layers["segments"]
    cats.segments("grouping", [HEAD, BODY | TAIL])
    cats.layers["segments"] += smoothed
    assert cats.lost() == pytest.approx(NOTHING | {"division": 50, "smoothing": -50})


def test_only_steps_with_a_node_are_listed(cats: Cats) -> None:
    """Without labels and a final model the ledger ends with the segments; with nothing to score it is refused."""
    assert cats.lost("labels", "predicted") == pytest.approx({"objects": 0, "division": 0})
    with pytest.raises(UsageError, match="all of the inputs objects, segments, labels, predicted are missing"):
        cats.rows("objects", "segments", "labels", "predicted")


def test_a_split_without_images_is_refused(cats: Cats) -> None:
    """Both settings are named: the images that are scored, and those that name clusters."""
    with pytest.raises(UsageError, match="losses, test_split: no image of split 'test' has ground truth"):
        cats.rows(test_split="test")
    with pytest.raises(UsageError, match="losses, vote_split: no image of split 'test' has ground truth"):
        cats.rows(vote_split="test")
    assert cats.rows("labels", "predicted", vote_split="test")["miou"].tolist() == pytest.approx([100, 100])
