"""The best and the worst images of the finished store."""

from __future__ import annotations

import numpy as np
import pytest

from pdstore import Store, masks
from stages.plan.pipeline import Pipeline
from stages.plan.project import Project
from stages.show.report.gallery import best_and_worst


@pytest.fixture
def pipeline(finished: Store) -> Pipeline:
    return Project.open(finished)


def quality(store: Store, pipeline: Pipeline, image_id: int, class_id: int) -> float:
    """By decoded masks: over the parts of the image's class, the best IoU of any predicted mask."""
    block = image_id // store.info.block_size
    truth, found = (store.layer(n, pipeline[n].fingerprint).read(block) for n in ("truth-parts", "distill"))
    truth = truth.take((truth["image_id"] == image_id) & (truth["category_id"] == class_id))
    found = found.take(found["image_id"] == image_id)
    size = int(truth["height"][0]), int(truth["width"][0])
    drawn, guessed = (masks.decode(rows.ragged("rle"), *size) for rows in (truth, found))
    best = [max([(d & g).sum() / (d | g).sum() for g in guessed], default=0.0) for d in drawn]
    return float(np.mean(best))


def test_quality_is_the_mean_best_iou(finished: Store, pipeline: Pipeline) -> None:
    """Counted again from the pixels for every held-out image; best first, worst first, none twice."""
    gallery = best_and_worst(finished, pipeline, pipeline["eval-distill"], "distill", ["distill"], 6)
    images = finished.layer("ingest", pipeline["ingest"].fingerprint).scan(["image_id", "class_id", "split"])
    held_out = {
        int(i): quality(finished, pipeline, int(i), int(c))
        for rows in images
        for i, c, split in zip(rows["image_id"], rows["class_id"], rows["split"], strict=True)
        if split == "val"
    }
    assert gallery.scored == len(held_out) == 12
    shown = {int(card.caption.split(" ")[0]): card.quality for card in (*gallery.best, *gallery.worst)}
    assert shown == pytest.approx(held_out)
    high, low = [c.quality for c in gallery.best], [c.quality for c in gallery.worst]
    assert high == sorted(high, reverse=True) and low == sorted(low) and min(high) >= max(low)


def test_a_few_images_are_not_shown_twice(finished: Store, pipeline: Pipeline) -> None:
    """Of twelve images, nine best would leave three; halves are taken."""
    gallery = best_and_worst(finished, pipeline, pipeline["eval-distill"], "distill", [], 9)
    assert (len(gallery.best), len(gallery.worst)) == (6, 6)
    gallery = best_and_worst(finished, pipeline, pipeline["eval-labels"], "proposals", [], 2)
    assert (len(gallery.best), len(gallery.worst)) == (2, 2)
