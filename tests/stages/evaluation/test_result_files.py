from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdstore import masks
from pdstore.errors import CorruptData
from stages.evaluation.result_files import ResultFiles, read_results
from stages.kernels.protocol import HONEST, REFERENCE

GOLDEN = Path(__file__).parents[2] / "data" / "evaluation.json"
CONTENT: dict[str, Any] = json.loads(GOLDEN.read_text())
Change = Callable[[dict[str, Any]], object]
Read = Callable[..., ResultFiles]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """``read(change)``: the golden content, changed, read from a file of predictions and a file of ground truth."""

    def write_and_read(change: Change = lambda _: None) -> ResultFiles:
        content = copy.deepcopy(CONTENT)
        content["vote_images"] = content.pop("expected")["honest_protocol"]["vote_images"]
        change(content)
        predictions, truth = tmp_path / "predictions.json", tmp_path / "truth.json"
        predictions.write_text(json.dumps(content.pop("predictions", None)))
        truth.write_text(json.dumps(content))
        return read_results(predictions, truth)

    return write_and_read


def test_records_become_samples() -> None:
    """Each image has its own masks, parts and clusters in the order of the file; voters are marked."""
    results = read_results(GOLDEN, GOLDEN)
    assert (results.num_parts, results.num_clusters, len(results.images)) == (11, 8, 40)
    voters = CONTENT["expected"]["honest_protocol"]["vote_images"]
    assert [image.image_id for image in results.images if image.votes] == sorted(voters)
    for image, record in zip(results.images, CONTENT["images"], strict=True):
        assert image.size == (record["height"], record["width"]) and image.object_class == record["object_class"]
        truth, segments = (
            [r for r in CONTENT[key] if r["image_id"] == record["id"]] for key in ("ground_truth", "predictions")
        )
        assert image.gt_parts == [r["part_class"] for r in truth]
        assert image.pred_clusters == [r["cluster"] for r in segments]
        assert image.pred_scores == [r["score"] for r in segments]
        stack = masks.decode(image.gt_masks, *image.size)
        assert stack.sum((1, 2)).tolist() == [int(np.sum(coco_areas(r))) for r in truth]


def coco_areas(record: dict[str, Any]) -> np.ndarray:
    """Area in pixels, counted by pycocotools."""
    from pycocotools import mask as coco

    counts = record["segmentation"]["counts"].encode()
    return np.atleast_1d(coco.area({"size": record["segmentation"]["size"], "counts": counts}))


def test_two_files_are_read_as_one(read: Read) -> None:
    """Predictions as a bare list and vote_images at the top give the same samples as the file that holds everything."""
    one, two = read_results(GOLDEN, GOLDEN), read()
    assert (one.num_parts, one.num_clusters) == (two.num_parts, two.num_clusters)
    for first, second in zip(one.images, two.images, strict=True):
        assert (first.image_id, first.votes) == (second.image_id, second.votes)
        assert first.pred_clusters == second.pred_clusters
        assert list(first.pred_masks) == list(second.pred_masks)


def test_predictions_without_clusters_are_proposals(read: Read) -> None:
    """They have 0 clusters, and the honest protocol needs no voters for them."""

    def strip(content: dict[str, Any]) -> None:
        del content["vote_images"]
        for record in content["predictions"]:
            del record["cluster"]

    results = read(strip)
    assert results.num_clusters == 0
    results.check(HONEST)


def test_numbers_are_counted_if_the_file_does_not_declare_them(read: Read) -> None:
    """One more than the largest part and cluster; part names may be listed in place of their number."""

    def undeclare(content: dict[str, Any]) -> None:
        del content["part_classes"], content["num_clusters"]

    results = read(undeclare)
    parts, clusters = ([r[key] for r in CONTENT[records]] for records, key in RECORDS)
    assert (results.num_parts, results.num_clusters) == (1 + max(parts), 1 + max(clusters))
    assert read(put([f"part {n}" for n in range(20)], "part_classes")).num_parts == 20


RECORDS = ("ground_truth", "part_class"), ("predictions", "cluster")


def without(key: str, *path: Any) -> Change:
    """A change that removes a key from the record at ``path``."""

    def change(content: Any) -> None:
        for step in path:
            content = content[step]
        del content[key]

    return change


def put(value: Any, *path: Any) -> Change:
    """A change that sets the value at ``path``."""

    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("images"), ["truth.json: expected the key 'images'", "Add 'images'"]),
        (without("ground_truth"), ["truth.json: expected the key 'ground_truth'"]),
        (without("predictions"), ["predictions.json: expected a list of predictions, or", "found NoneType"]),
        (without("height", "images", 2), ["truth.json, images[2]: expected the key 'height'"]),
        (without("image_id", "predictions", 5), ["predictions.json, predictions[5]: expected the key 'image_id'"]),
        (without("cluster", "predictions", 5), ["predictions.json, predictions[5]: expected the key 'cluster'"]),
        (without("score", "predictions", 0), ["predictions.json, predictions[0]: expected the key 'score'"]),
        (put(999, "predictions", 7, "image_id"), ["predictions[7]: expected the image_id of", "found 999"]),
        (put(999, "ground_truth", 3, "image_id"), ["truth.json, ground_truth[3]", "found 999", "leave this record"]),
        (put(0, "images", 1, "id"), ["images[1]: expected a unique id, found 0, which", "images[0] already has"]),
        (put([5, 5], "predictions", 0, "segmentation", "size"), ["segmentation: expected size [109, 79]", "[5, 5]"]),
        (put("QQ\x01", "predictions", 0, "segmentation", "counts"), ["segmentation: expected counts", "pycocotools"]),
        (put("0", "ground_truth", 0, "segmentation", "counts"), ["ground_truth[0], segmentation", "109 x 79 = 8611"]),
        (put([9000], "predictions", 0, "segmentation", "counts"), ["runs of 9000 pixels in all"]),
        (put(None, "images", 0, "object_mask"), ["images[0], object_mask: expected an object, found null"]),
        (put(11, "ground_truth", 0, "part_class"), ["ground_truth[0]: expected part_class in 0..10, found 11"]),
        (put(3, "images", 0, "object_class"), ["images[0]: expected object_class in 0..2, found 3"]),
        (put(-1, "predictions", 0, "cluster"), ["predictions[0]: expected cluster from 0 on, found -1"]),
        (put(float("nan"), "predictions", 0, "score"), ["predictions[0], score: expected a finite number, found NaN"]),
        (put(True, "predictions", 0, "cluster"), ["predictions[0], cluster: expected a whole number, found true"]),
        (put("7", "predictions", 0), ["predictions[0]: expected an object, found \"7\""]),
        (put([0, 77], "vote_images"), ["truth.json: expected ids of listed images in vote_images, found 77"]),
        (without("vote_images"), ["truth.json: expected vote_images", "found 0 of 40 images", "--protocol reference"]),
        (without("object_mask", "images", 4), ["images[4]: the key 'object_mask' is missing", "reference needs"]),
        (put(0, "images", 4, "width"), ["images[4]: expected a height and a width of at least 1"]),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_clear_error(read: Read, change: Change, words: list[str]) -> None:
    """The error names the file, the record, what is wrong and what to do."""

    def read_and_check() -> None:
        results = read(change)
        results.check(HONEST)
        results.check(REFERENCE)

    with pytest.raises(CorruptData) as error:
        read_and_check()
    for word in words:
        assert word in str(error.value)
    assert error.value.fix
