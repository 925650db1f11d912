from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from pdstore import masks
from pdstore.errors import UsageError
from schemas.stages import DeticSettings
from stages.models import inference
from stages.nodes import detic
from stages.registry import CLASS_NAMES

NAMES = ["cat", "dog", "person", "woman"]
SIZE = 20


def query(row: int, probability: float = 1.0, **chances: float) -> tuple[np.ndarray, np.ndarray]:
    """A query whose mask is one row of pixels, with its class probabilities; the rest is "no object"."""
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[row] = probability
    classes = np.array([chances.get(name, 0.0) for name in NAMES], np.float32)
    return mask, np.append(classes, 1 - classes.sum()).astype(np.float32)


def rows_of(rows: Any) -> list[int]:
    """Which row of pixels each object is."""
    stack = masks.decode(rows.ragged("rle"), SIZE, SIZE)
    return [int(mask.any(1).argmax()) for mask in stack]


class Network:
    """Replaces the network: gives the same answer for every image."""

    def __init__(self, folder: Path, device: str, long_side: int, precision: str) -> None: ...

    queries_of: list[tuple[np.ndarray, np.ndarray]] = []  # noqa: RUF012

    def shape(self, pixels: np.ndarray) -> tuple[int, ...]:
        return pixels.shape

    def queries(self, pictures: list[np.ndarray]) -> list[inference.Found]:
        stack, classes = zip(*self.queries_of, strict=True)
        features = np.zeros((len(stack), 4), np.float32)
        return [inference.Found(np.stack(classes), np.stack(stack), features) for _ in pictures]


@pytest.fixture
def detect(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``detect(queries, **settings)``: the unit and its rows, for one image of a cat."""
    (tmp_path / CLASS_NAMES).write_text(json.dumps(NAMES))
    monkeypatch.setattr(inference, "Inference", Network)
    images = bench.images(np.zeros((SIZE, SIZE, 3), np.uint8))

    def run(queries: list[tuple[np.ndarray, np.ndarray]], **settings: Any):
        monkeypatch.setattr(Network, "queries_of", queries)
        unit = bench.unit(images=images)
        process = detic.start(DeticSettings(**settings), bench.setup(models={"model": tmp_path}))
        return unit, process(unit).rows

    return run


def test_every_backend_has_a_module() -> None:
    """Every backend that the settings allow can be imported."""
    assert set(get_args(DeticSettings.model_fields["backend"].annotation)) == set(detic.BACKENDS)
    assert all(importlib.util.find_spec(module) for module in detic.BACKENDS.values())


def test_the_images_own_class_comes_first(detect) -> None:
    """max-gt-label keeps the objects of the image's class, best first, though others score higher."""
    _, rows = detect([query(1, dog=0.9), query(2, cat=0.3), query(3, cat=0.6)], min_score=0.1)
    assert rows_of(rows) == [3, 2]
    assert rows["object_id"].tolist() == [0, 1] and rows["category_name"].tolist() == ["cat", "cat"]
    assert rows["score"].tolist() == pytest.approx([0.6, 0.3])


def test_any_class_stands_in_where_the_own_is_missing(detect) -> None:
    """If no object has the image's class, the best objects of any class are assigned to it."""
    unit, rows = detect([query(1, dog=0.4), query(2, person=0.7), query(3, cat=0.05)], min_score=0.1)
    assert rows_of(rows) == [2, 1]
    assert set(rows["category_name"]) == {"cat"} and set(rows["category_id"].tolist()) == {0}
    assert unit.faults == []


def test_human_only_keeps_people_above_the_threshold(detect) -> None:
    """human-only adds the chances of all words for people, keeps those above min_score, and rejects no image."""
    queries = [query(1, cat=0.9), query(2, person=0.2, woman=0.2), query(3, person=0.25), query(4, woman=0.8)]
    unit, rows = detect(queries, mode="human-only", min_score=0.3)
    assert rows_of(rows) == [4, 2]
    assert rows["category_name"].tolist() == ["person"] * 2 and rows["category_id"].tolist() == [-1, -1]
    unit, rows = detect([query(1, cat=0.9)], mode="human-only", min_score=0.3)
    assert len(rows) == 0 and unit.faults == []


def test_at_most_so_many_objects_are_kept(detect) -> None:
    """``max_objects`` bounds an image's objects; the score includes the confidence of the mask."""
    _, rows = detect([query(i, 0.6 + i / 100, cat=0.5) for i in range(8)], max_objects=3)
    assert rows_of(rows) == [7, 6, 5]
    assert rows["score"][0] == pytest.approx(0.5 * 0.67)


def test_an_image_without_any_object_is_an_error_row(detect) -> None:
    """Nothing above the score, or only empty masks: reason ``no_object``."""
    unit, rows = detect([query(1, cat=0.2), query(2, 0.4, cat=0.9)], min_score=0.3)
    assert len(rows) == 0
    assert [(f["subject"], f["reason"]) for f in unit.faults] == [("0_0.png", "no_object")]


def test_words_that_the_network_does_not_know_are_refused(detect) -> None:
    """human-only needs one of its words among the network's classes."""
    with pytest.raises(UsageError, match=r"a segmenter that knows one of \['robot'\]"):
        detect([query(1)], mode="human-only", words=["robot"])


def test_saliency_finds_one_object_without_a_network(bench) -> None:
    """A bright patch on a dark ground is the only object; a uniform image is an error row."""
    picture = np.zeros((48, 48, 3), np.uint8)
    picture[14:34, 12:32] = (220, 180, 60)
    images = bench.images(picture, np.full((48, 48, 3), 90, np.uint8))
    unit = bench.unit(images=images)
    rows = detic.start(DeticSettings(backend="saliency"), bench.setup())(unit).rows
    assert rows["image_id"].tolist()[0] == 0 and rows["object_id"].tolist()[0] == 0
    mask = masks.decode_one(rows.ragged("rle")[0], 48, 48)
    true = picture.any(2)
    assert (mask & true).sum() / (mask | true).sum() > 0.8
    assert [f["reason"] for f in unit.faults] == ["no_object"]


def test_saliency_knows_no_people(bench) -> None:
    """human-only with backend saliency is refused when the node starts."""
    with pytest.raises(UsageError, match="mode max-gt-label with backend saliency"):
        detic.start(DeticSettings(backend="saliency", mode="human-only"), bench.setup())
