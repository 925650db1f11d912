"""Both protocols, compared with the golden numbers, and the counts behind them."""

from __future__ import annotations

import functools
import json
import operator
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdstore import masks
from pdstore.ragged import Ragged
from stages.kernels.evaluation import Evaluation, ImageResult, evaluate, true_parts_inside
from stages.kernels.protocol import HONEST, REFERENCE, Protocol

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "evaluation.json").read_text())
NUM_PARTS, NUM_CLUSTERS = len(GOLDEN["part_classes"]), GOLDEN["num_clusters"]
VOTERS = set(GOLDEN["expected"]["honest_protocol"]["vote_images"])


def golden_images(*, dense: bool = False) -> Iterator[ImageResult]:
    for image in GOLDEN["images"]:
        size = image["height"], image["width"]
        truth = [g for g in GOLDEN["ground_truth"] if g["image_id"] == image["id"]]
        found = [p for p in GOLDEN["predictions"] if p["image_id"] == image["id"]]
        true_rle, found_rle = encoded(truth), encoded(found)
        yield ImageResult(
            image["id"],
            image["object_class"],
            masks.decode_one(image["object_mask"]["counts"].encode(), *size),
            masks.decode(true_rle, *size) if dense else true_rle,
            [g["part_class"] for g in truth],
            masks.decode(found_rle, *size) if dense else found_rle,
            [p["cluster"] for p in found],
            [p["score"] for p in found],
            votes=image["id"] in VOTERS,
        )


def encoded(rows: list[Any]) -> Ragged:
    return Ragged.from_list(row["segmentation"]["counts"].encode() for row in rows)


def new(protocol: Protocol, num_clusters: int = NUM_CLUSTERS) -> Evaluation:
    return Evaluation(NUM_PARTS, num_clusters, protocol)


def expected(protocol: Protocol) -> tuple[dict[str, float], dict[int, list[int]]]:
    numbers: dict[str, Any] = GOLDEN["expected"][f"{protocol.name}_protocol"]
    vote = numbers["vote"] if protocol.splits else GOLDEN["expected"]["reference_vote"]
    return {k: v for k, v in numbers.items() if isinstance(v, float)}, {int(c): v for c, v in vote.items()}


@pytest.mark.parametrize("protocol", [REFERENCE, HONEST], ids=lambda p: p.name)
@pytest.mark.parametrize("dense", [False, True], ids=["run lengths", "arrays"])
def test_golden(protocol: Protocol, dense: bool) -> None:
    """Every golden number is reproduced to 1e-3 and every vote exactly, from run lengths and from arrays."""
    evaluation = new(protocol)
    for image in golden_images(dense=dense):
        evaluation.add(image)
    scores = evaluation.scores()
    metrics, vote = expected(protocol)
    assert {k: scores.metrics[k] for k in metrics} == pytest.approx(metrics, abs=1e-3)
    assert {c: v.tolist() for c, v in scores.vote.items()} == vote


IMAGES = tuple(golden_images())
WHOLE = {
    (protocol.name, num_clusters): functools.reduce(
        lambda e, image: (e.add(image), e)[1], IMAGES, new(protocol, num_clusters)
    )
    for protocol in (REFERENCE, HONEST)
    for num_clusters in (0, NUM_CLUSTERS)
}


@given(
    protocol=st.sampled_from([REFERENCE, HONEST]),
    num_clusters=st.sampled_from([0, NUM_CLUSTERS]),
    order=st.permutations(range(len(IMAGES))),
    shares=st.lists(st.integers(0, 4), min_size=len(IMAGES), max_size=len(IMAGES)),
)
@settings(max_examples=12, deadline=None)
def test_any_shares_in_any_order_add_up_to_the_whole(
    protocol: Protocol, num_clusters: int, order: list[int], shares: list[int]
) -> None:
    """However the images are shared among processes and the counts added, the scores are those of all images."""
    parts = [new(protocol, num_clusters) for _ in range(5)]
    for image, share in zip(order, shares, strict=True):
        parts[share].add(IMAGES[image])
    total = functools.reduce(operator.add, pickle.loads(pickle.dumps(parts))).scores()
    whole = WHOLE[protocol.name, num_clusters].scores()
    assert total.metrics == whole.metrics and total.part_iou == whole.part_iou
    assert (total.num_images, total.num_voters) == (whole.num_images, whole.num_voters)
    assert {c: v.tolist() for c, v in total.vote.items()} == {c: v.tolist() for c, v in whole.vote.items()}


def test_adding_changes_neither_term() -> None:
    """A sum is a new evaluation, and its terms do not change."""
    one, other = new(REFERENCE), new(REFERENCE)
    one.add(IMAGES[0])
    other.add(IMAGES[1])
    before = one.scores().metrics
    _ = one + other
    assert one.scores().metrics == before


def test_different_settings_cannot_be_added() -> None:
    """Adding evaluations with different protocols or numbers of clusters is refused."""
    for other in (new(HONEST), new(REFERENCE, 3)):
        with pytest.raises(ValueError, match="different settings"):
            new(REFERENCE) + other


def test_memory_is_constant() -> None:
    """The size of an evaluation does not grow when more images of the same classes are added."""
    evaluation = new(REFERENCE)

    def held() -> int:
        return len(pickle.dumps(evaluation))

    for image in golden_images():
        evaluation.add(image)
    before = held()
    for image in golden_images():
        evaluation.add(image)
    assert held() == before


def square(top: int, left: int, side: int = 4) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.zeros((12, 12), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def one_image(image_id: int = 0, clusters: tuple[int, ...] = (1, 0), **changes: Any) -> ImageResult:
    stack = np.stack([square(0, 0), square(6, 6)])
    values: dict[str, Any] = dict(
        image_id=image_id,
        object_class=5,
        object_mask=stack.any(0),
        gt_masks=stack,
        gt_parts=[0, 1],
        pred_masks=stack,
        pred_clusters=clusters,
        pred_scores=[0.9, 0.8],
    )
    return ImageResult(**values | changes)


def test_perfect_prediction_scores_100() -> None:
    """Predictions equal to the parts score 100 in every metric, whatever the clusters are called."""
    scores = evaluate([one_image()], REFERENCE, num_parts=2, num_clusters=3, recall_at=(2,))
    assert set(scores.metrics.values()) == {100.0}
    assert scores.vote[5].tolist() == [1, 0, 0]
    assert scores.part_iou == {(5, 0): 100.0, (5, 1): 100.0}
    assert scores.class_miou == {5: 100.0}


def test_one_proposal_finds_one_part() -> None:
    """AR@1 counts a single proposal per image."""
    scores = evaluate([one_image()], REFERENCE, num_parts=2, num_clusters=2, recall_at=(1, 2))
    assert scores.metrics["AR@1"] == 50
    assert scores.metrics["AR@2"] == 100


def test_image_without_predictions_counts() -> None:
    """An image without predictions lowers recall and IoU instead of being skipped."""
    empty = one_image(1, (), pred_masks=np.zeros((0, 12, 12), bool), pred_scores=[])
    scores = evaluate([one_image(), empty], REFERENCE, num_parts=2, num_clusters=2, recall_at=(10,))
    assert scores.metrics["AR@10"] == 50
    assert scores.metrics["C-mIoU"] == 50
    assert scores.num_images == 2


def test_honest_votes_and_scores_use_different_images() -> None:
    """A cluster that no voting image has is background in the scored images, and voting images are not scored."""
    voting = one_image(0, (0, 0), pred_masks=np.stack([square(0, 0), square(0, 0)]), votes=True)
    scores = evaluate([voting, one_image(1, (0, 1))], HONEST, num_parts=2, num_clusters=2)
    assert scores.vote[5].tolist() == [0, 2]
    assert scores.part_iou == {(5, 0): 100.0, (5, 1): 0.0}
    assert (scores.num_images, scores.num_voters) == (1, 1)


def test_without_a_split_every_image_votes_and_is_scored() -> None:
    """The reference protocol ignores which images would vote under the honest one."""
    scores = evaluate([one_image(votes=True)], REFERENCE, num_parts=2, num_clusters=2)
    assert (scores.num_images, scores.metrics["C-mIoU"]) == (1, 100)


def test_proposals_are_scored_overlapping_and_with_one_label_per_pixel() -> None:
    """Without clusters there is only recall; a confident proposal over both parts takes the pixels of the others."""
    stack = np.stack([square(0, 0), square(6, 6), square(0, 0, 12)])
    image = one_image(pred_masks=stack, pred_scores=[0.5, 0.6, 0.9])
    scores = evaluate([image], HONEST, num_parts=2, num_clusters=0, recall_at=(3,))
    assert scores.metrics == {"AR@3": 100, "AR@3-unique": 0}
    least = evaluate([one_image(pred_masks=stack, pred_scores=[0.5, 0.6, 0.1])], HONEST, num_parts=2, num_clusters=0)
    assert least.metrics["AR@200"] == least.metrics["AR@200-unique"] == 100


def test_nothing_to_score_is_nan() -> None:
    """Without images every metric is NaN, neither zero nor an error."""
    scores = evaluate([], REFERENCE, num_parts=2, num_clusters=2)
    assert all(np.isnan(v) for v in scores.metrics.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gt_parts": [0, 2]}, "gt_parts: expected 2 numbers in 0..1"),
        ({"pred_clusters": [0]}, "pred_clusters: expected 2 numbers"),
        ({"pred_scores": [0.5]}, "pred_scores: expected 2 numbers, found 1"),
        ({"object_mask": None}, "needs an object mask"),
    ],
)
def test_wrong_images_are_refused(changes: dict[str, Any], message: str) -> None:
    """The error names the image whose ids are out of range, lengths differ or object mask is missing."""
    with pytest.raises(ValueError, match=message):
        evaluate([one_image(7, **changes)], REFERENCE, num_parts=2, num_clusters=2)


def test_size_of_run_lengths_must_be_known() -> None:
    """Run lengths without an array and without a size are refused."""
    image = one_image(object_mask=None, gt_masks=Ragged.from_list([]), pred_masks=Ragged.from_list([]))
    with pytest.raises(ValueError, match="give size"):
        _ = image.frame


def test_an_oracle_names_each_mask_after_the_part_it_overlaps_most() -> None:
    """If good masks are in a cluster that mixes parts, the vote loses one of them and the oracle none."""
    mixed = [one_image(0, (0, 0)), one_image(1, (0, 1))]
    metrics = evaluate(mixed, REFERENCE, num_parts=2, num_clusters=2).metrics
    assert metrics["C-mIoU"] < 100 and metrics["C-mIoU-oracle"] == metrics["A-mIoU-oracle"] == 100


def test_an_oracle_has_no_name_for_a_mask_outside_every_part() -> None:
    """Under the honest protocol such a mask stays as background: it covers no pixel that counts."""
    stray = np.stack([square(0, 0), square(0, 8), square(6, 6)])
    image = one_image(pred_masks=stray, pred_clusters=[0, 0, 1], pred_scores=[1, 1, 1])
    assert evaluate([image], HONEST, num_parts=2, num_clusters=2).metrics["C-mIoU-oracle"] == 100


def test_true_parts_inside_an_object_are_cut_to_it() -> None:
    """A part outside is empty, one on the border is cut; their clusters are their parts, and run lengths do as well."""
    objects = np.stack([square(0, 0), square(0, 0)])
    objects[0, 2:] = objects[1, 1:] = False
    image = one_image(pred_masks=objects)
    found = true_parts_inside(image)
    stack = masks.decode(found.pred_masks, *image.frame)
    assert (stack[0] == image.gt_masks[0] & objects[0]).all() and stack[0].any() and not stack[1].any()
    assert found.pred_clusters == image.gt_parts and len(found.pred_scores) == 2
    encoded = one_image(pred_masks=masks.encode(objects), gt_masks=masks.encode(image.gt_masks), size=image.frame)
    assert true_parts_inside(encoded).pred_masks == found.pred_masks
    alone = true_parts_inside(one_image(pred_masks=objects[:0]))
    assert not masks.decode(alone.pred_masks, *image.frame).any()
