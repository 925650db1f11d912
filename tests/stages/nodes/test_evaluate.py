from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pdstore import Rows, masks
from pdstore.errors import InputMissing, UsageError
from schemas.stages import EvalSettings
from schemas.tables import LABELS, METRICS, OBJECTS, PARTS, PROPOSALS
from stages.nodes import evaluate
from tests.stages.nodes.records import BLANK, SIZE, rows_of

HEAD, TAIL = rows_of(0, 4), rows_of(4, 9)


def masked(image_id: int, mask: np.ndarray) -> dict[str, Any]:
    frame = {"height": SIZE, "width": SIZE, "rle": masks.encode(mask[None])[0], "area": int(mask.sum())}
    return {"image_id": image_id, "score": 1.0, "category_id": 0, "object_id": 0, **frame}


def truth(image_id: int, name: str, mask: np.ndarray, owner: str = "cat") -> dict[str, Any]:
    extra = {"part_id": 0, "category_name": owner, "part_name": name, "feature": np.zeros(0)}
    extra["category_id"] = 0 if owner == "cat" else -1
    return masked(image_id, mask) | extra | {"object_ratio": 0.5, "changed": np.nan}


def label(image_id: int, cluster: int, mask: np.ndarray) -> dict[str, Any]:
    return masked(image_id, mask) | {"label_id": cluster, "cluster": cluster, "object_ratio": 0.5}


def values(rows: Rows, **where: str) -> dict[str, float]:
    """Metric -> value of the rows that match; those about all classes by default."""
    wanted = {"class_name": "", "part_name": "", **where}
    kept = [i for i in range(len(rows)) if all(rows[name][i] == value for name, value in wanted.items())]
    return {rows["metric"][i]: float(rows["value"][i]) for i in kept}


@pytest.fixture
def roles(bench):
    """Two training and two held-out cats of a head and a tail; clusters 1 and 0 find them exactly."""
    bench.images(BLANK, BLANK)
    images = bench.images(BLANK, BLANK, unit=1, split="val")
    for unit, ids in ((0, (0, 1)), (1, (4, 5))):
        parts = [truth(i, name, mask) for i in ids for name, mask in (("head", HEAD), ("tail", TAIL))]
        labels = [label(i, cluster, mask) for i in ids for cluster, mask in ((1, HEAD), (0, TAIL))]
        outline = [masked(i, HEAD | TAIL) | {"category_name": "cat"} for i in ids]
        layers = {
            "truth": bench.put("truth", PARTS, parts, unit),
            "predicted": bench.put("labels", LABELS, labels, unit),
            "truth_objects": bench.put("outline", OBJECTS, outline, unit),
        }
    return {"images": images, **layers}


def score(bench, roles, **settings: Any) -> Rows:
    process = evaluate.start(EvalSettings(**settings), bench.setup())
    return process(bench.unit(**roles)).rows


def test_perfect_parts_score_a_hundred(bench, roles) -> None:
    """Clusters are named on the vote split and scored on the test split alone."""
    rows = score(bench, roles)
    assert values(rows)["C-mIoU"] == values(rows)["A-mIoU"] == values(rows)["AR@10"] == pytest.approx(100)
    assert values(rows)["samples"] == 2
    assert values(rows, class_name="cat", part_name="tail")["IoU"] == pytest.approx(100)
    assert set(rows["evaluated"]) == {"labels"} and set(rows["protocol"]) == {"honest"}


def test_an_image_without_predictions_counts_as_missed(bench, roles) -> None:
    """A held-out image of which nothing was found halves the recall, and does not stop the evaluation."""
    bench.store.layers("labels")[0].withdraw(1)
    bench.put("labels", LABELS, [label(4, 1, HEAD), label(4, 0, TAIL)], 1)
    rows = score(bench, roles)
    assert values(rows)["AR@10"] == pytest.approx(50) and values(rows)["C-mIoU"] == pytest.approx(50)


def test_no_predictions_at_all_score_nothing(bench, roles) -> None:
    """Nothing found anywhere is 0, not an error."""
    empty = bench.put("empty", LABELS, [])
    bench.put("empty", LABELS, [], 1)
    rows = score(bench, roles | {"predicted": empty})
    assert values(rows)["C-mIoU"] == 0 and values(rows)["AR@10"] == 0


def test_whole_objects_are_one_part(bench, roles) -> None:
    """An object is scored as the part that covers most of its pixels."""
    rows = score(bench, roles | {"predicted": roles["truth_objects"]})
    assert values(rows)["C-mIoU"] == pytest.approx(100 * (5 / 9) / 2)


def test_recall_is_that_of_the_segments(bench, roles) -> None:
    """The recall of input ``segments`` is reported under the node that wrote them."""
    for unit, ids in ((0, (0, 1)), (1, (4, 5))):
        records = [masked(i, HEAD) | {"proposal_id": 0, "feature": np.zeros(2)} for i in ids]
        kept = [{name: r[name] for name in PROPOSALS.names} for r in records]
        segments = bench.put("proposals", PROPOSALS, kept, unit)
    rows = score(bench, roles | {"segments": segments})
    assert values(rows, evaluated="proposals")["AR@10"] == pytest.approx(50)
    assert values(rows, evaluated="labels")["AR@10"] == pytest.approx(100)


def test_the_published_protocol_scores_every_image(bench, roles) -> None:
    """``both`` reports both protocols; the published one votes and scores on all images, and needs the true objects."""
    rows = score(bench, roles, protocol="both")
    assert values(rows, protocol="reference")["samples"] == 4 and values(rows, protocol="honest")["samples"] == 2
    without = {name: layer for name, layer in roles.items() if name != "truth_objects"}
    with pytest.raises(UsageError, match="the published protocol needs true object masks, but there are none"):
        score(bench, without, protocol="reference")


def test_other_objects_of_the_image_are_left_out(bench, roles) -> None:
    """Truth of a person in a cat's image changes nothing."""
    bench.store.layers("truth")[0].withdraw(1)
    parts = [truth(i, name, mask) for i in (4, 5) for name, mask in (("head", HEAD), ("tail", TAIL))]
    bench.put("truth", PARTS, [*parts, truth(5, "arm", rows_of(9, 12), "person")], 1)
    assert values(score(bench, roles))["C-mIoU"] == pytest.approx(100)


def test_an_image_whose_true_object_is_missing_is_scored(bench, roles) -> None:
    """Ground truth from two files may disagree: without an outline the image's predictions lie outside of it."""
    bench.store.layers("outline")[0].withdraw(1)
    bench.put("outline", OBJECTS, [masked(4, HEAD | TAIL) | {"category_name": "cat"}], 1)
    assert values(score(bench, roles))["C-mIoU"] == pytest.approx(100)
    assert values(score(bench, roles, protocol="reference"), protocol="reference")["AR@10"] == pytest.approx(75)


def test_nothing_to_score_is_refused(bench, roles) -> None:
    """Without predictions and segments, or without any truth, the error says what to add."""
    with pytest.raises(UsageError, match="the inputs predicted and segments are both missing"):
        score(bench, {name: layer for name, layer in roles.items() if name != "predicted"})
    empty = bench.put("none", PARTS, [])
    with pytest.raises(InputMissing, match=r"none: there are no ground-truth parts"):
        score(bench, roles | {"truth": empty})


def test_part_of_the_input_is_scored_when_asked_for(bench, roles) -> None:
    """Blocks that some input lacks are left out, as under --allow-partial."""
    bench.store.layers("outline")[0].withdraw(1)
    rows = score(bench, roles, protocol="reference")
    assert values(rows)["samples"] == 2 and values(rows)["C-mIoU"] == pytest.approx(100)


def test_segments_have_recall_alone(bench, roles) -> None:
    """Segments have no clusters, so no mIoU; a confident segment that covers the others takes their pixels."""
    for unit, ids in ((0, (0, 1)), (1, (4, 5))):
        kinds = [(HEAD, 0.5), (TAIL, 0.5), (HEAD | TAIL, 0.9)]
        records = [
            masked(i, mask) | {"proposal_id": n, "feature": np.zeros(2), "score": confidence}
            for i in ids
            for n, (mask, confidence) in enumerate(kinds)
        ]
        segments = bench.put("proposals", PROPOSALS, [{n: r[n] for n in PROPOSALS.names} for r in records], unit)
    numbers = values(score(bench, {**roles, "segments": segments}), evaluated="proposals")
    assert set(numbers) == {
        "samples",
        *(f"AR@{n}{kind}" for n in (1, 10, 20, 50, 100, 200) for kind in ("", "-unique")),
    }
    # The whole object is taken for the tail, with an IoU of 5/9: a hit at one of ten thresholds, for one of two parts.
    assert numbers["AR@10"] == pytest.approx(100) and numbers["AR@10-unique"] == pytest.approx(100 * 2 / 20)


def test_processes_change_nothing(bench, roles) -> None:
    """The blocks are shared by two processes, and the rows are the same."""
    alone, shared = (score(bench, roles, protocol="both", processes=n) for n in (1, 2))
    assert all((alone[name] == shared[name]).all() for name in METRICS.names)


def test_a_split_without_truth_is_an_error(bench, roles) -> None:
    """The honest protocol needs images that vote, for clusters, and images that are scored."""
    for key in ("vote_split", "test_split"):
        with pytest.raises(UsageError, match=rf"{key}: no image of split 'test' has ground truth"):
            score(bench, roles, **{key: "test"})
