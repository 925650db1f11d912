"""Evaluation of images that show several objects and have no class, and of models that were taught the part names."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pdstore import Rows, masks
from schemas.stages import EvalSettings
from schemas.tables import LABELS, OBJECTS, PARTS, PREDICTIONS, PROPOSALS
from stages.nodes import evaluate
from stages.source.listing import ImageClass
from tests.stages.nodes.test_evaluate import BLANK, HEAD, SIZE, TAIL, label, masked, rows_of, truth, values

DOG = rows_of(9, 12)


def halves(image_id: int, object_id: int, left: int) -> list[dict[str, Any]]:
    """A cat with a head and a tail, in six columns of the image."""
    return [truth(image_id, name, columns(mask, left)) | {"object_id": object_id} for name, mask in NAMED]


NAMED = ("head", HEAD), ("tail", TAIL)


def columns(mask: np.ndarray, left: int) -> np.ndarray:
    """The part of a mask that lies in six columns of the image."""
    cut = np.zeros((SIZE, SIZE), bool)
    cut[:, left : left + 6] = mask[:, left : left + 6]
    return cut


def outline(image_id: int, object_id: int, category: int, mask: np.ndarray) -> dict[str, Any]:
    extra = {"object_id": object_id, "category_id": category, "category_name": ("cat", "dog")[category]}
    return masked(image_id, mask) | extra


@pytest.fixture
def roles(bench):
    """Two images, each of two cats side by side above a dog with one part; clusters are heads, tails and the dog."""
    bench.classes = (*bench.classes, ImageClass(-1, "", ""))
    layers = {}
    for unit, split in ((0, "train"), (1, "val")):
        i = 4 * unit
        layers["images"] = bench.images(BLANK, unit=unit, split=split, classes=[2])
        dog = truth(i, "body", DOG, "dog") | {"object_id": 2, "category_id": 1}
        layers["truth"] = bench.put("truth", PARTS, [*halves(i, 0, 0), *halves(i, 1, 6), dog], unit)
        whole = [outline(i, n, 0, columns(HEAD | TAIL, 6 * n)) for n in (0, 1)]
        layers["truth_objects"] = bench.put("outline", OBJECTS, [*whole, outline(i, 2, 1, DOG)], unit)
        labels = [label(i, 1, HEAD), label(i, 0, TAIL), label(i, 0, DOG) | {"object_id": 2, "category_id": 1}]
        layers["predicted"] = bench.put("labels", LABELS, labels, unit)
    return layers


def score(bench, roles, **settings: Any) -> Rows:
    return evaluate.start(EvalSettings(**settings), bench.setup())(bench.unit(**roles)).rows


def test_honest_samples_are_the_classes_of_an_image(bench, roles) -> None:
    """All cats of an image are one sample, which is scored by the masks that were predicted for cats."""
    rows = score(bench, roles)
    assert values(rows)["samples"] == 2
    assert values(rows)["C-mIoU"] == pytest.approx(100) and values(rows, class_name="dog")["mIoU"] == pytest.approx(100)
    # Two masks, each over both cats, match a part of either cat at one threshold of ten; the dog is found.
    assert values(rows)["AR@10"] == pytest.approx(100 * (2 * 0.1 + 1) / 5, abs=1)


def test_reference_samples_are_objects(bench, roles) -> None:
    """Cut to the mask of each cat, the masks that were predicted for cats match the parts of that cat."""
    rows = score(bench, roles, protocol="reference")
    assert values(rows)["samples"] == 6
    assert values(rows)["C-mIoU"] == values(rows)["AR@10"] == values(rows)["A-mIoU-oracle"] == pytest.approx(100)


def test_proposals_are_scored_by_all_objects_of_an_image(bench, roles) -> None:
    """Proposals have no class, so an image is one sample with the parts of all its objects."""
    for unit in (0, 1):
        stack = [columns(HEAD, 0), columns(HEAD, 6), columns(TAIL, 0), columns(TAIL, 6)]
        rows = [masked(4 * unit, m) | {"proposal_id": n, "feature": np.zeros(2)} for n, m in enumerate(stack)]
        segments = bench.put("proposals", PROPOSALS, [{n: r[n] for n in PROPOSALS.names} for r in rows], unit)
    inputs = {name: layer for name, layer in roles.items() if name != "predicted"} | {"segments": segments}
    for protocol, samples in (("honest", 1), ("reference", 2)):
        numbers = values(score(bench, inputs, protocol=protocol))
        assert numbers["samples"] == samples and numbers["AR@200"] == pytest.approx(100 * 4 / 5)


def taught(image_id: int, cluster: int, name: str, mask: np.ndarray) -> dict[str, Any]:
    return label(image_id, cluster, mask) | {"part_name": name}


def test_a_taught_name_needs_no_vote(bench, roles) -> None:
    """Predictions with part names are scored under these names: a swapped name is wrong, however consistently."""
    for node, heads, tails in (("right", "head", "cat tail"), ("swapped", "tail", "head")):
        for unit in (0, 1):
            rows = [taught(4 * unit, 0, heads, HEAD), taught(4 * unit, 1, tails, TAIL)]
            predicted = bench.put(node, PREDICTIONS, rows, unit)
        expected = 100 if node == "right" else 0
        for protocol in ("honest", "reference"):
            numbers = values(score(bench, roles | {"predicted": predicted}, protocol=protocol), class_name="cat")
            assert numbers["mIoU"] == pytest.approx(expected)


def test_the_confusion_is_stored(bench, roles) -> None:
    """With the metrics, the evaluation stores how many pixels of each part were taken for which, background last."""
    output = evaluate.start(EvalSettings(), bench.setup())(bench.unit(**roles))
    tables = {table["class_name"]: table for table in json.loads(output.files["confusion.json"])}
    assert tables["cat"]["parts"] == ["head", "tail", "background"]
    assert tables["cat"]["pixels"] == [[int(HEAD.sum()), 0, 0], [0, int(TAIL.sum()), 0], [0, 0, 0]]
    assert (tables["dog"]["evaluated"], tables["dog"]["protocol"]) == ("labels", "honest")


def test_classes_with_one_name_are_distinguished_by_code(bench, roles) -> None:
    """If several classes share a name, metrics name them by their codes."""
    bench.classes = tuple(ImageClass(c.class_id, c.wnid, "animal") for c in bench.classes)
    rows = score(bench, roles)
    assert {"n00000001", "n00000002"} == {name for name in rows["class_name"] if name}


def test_predictions_in_a_frame_are_scored_in_original_pixels(bench, roles) -> None:
    """A mask that is stored at a third of the size counts as one that was brought to the image's pixels before."""
    scores = []
    for node, side in (("stored", SIZE // 3), ("brought", SIZE)):
        for unit in (0, 1):
            found = []
            for cluster, mask in ((1, HEAD), (0, TAIL), (0, DOG)):
                framed = masks.resize_nearest(masks.resize_nearest(mask, SIZE // 3, SIZE // 3), side, side)
                frame = {"height": side, "width": side, "rle": masks.encode(framed[None])[0]}
                found.append(label(4 * unit, cluster, mask) | frame)
            found[2] |= {"object_id": 2, "category_id": 1}
            roles["predicted"] = bench.put(node, LABELS, found, unit)
        scores.append([values(score(bench, roles, protocol=name)) for name in ("honest", "reference")])
    assert scores[0] == scores[1] and scores[0][0]["C-mIoU"] > 50
