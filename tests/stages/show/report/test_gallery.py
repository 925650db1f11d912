"""The best and the worst images of the finished store."""

from __future__ import annotations

import numpy as np
import pytest

from pdstore import Store, masks
from stages.plan.project import Project
from stages.show.report.gallery import best_and_worst, by_chance


@pytest.fixture
def project(finished: Store) -> Project:
    return Project.open(finished)


def quality(project: Project, image_id: int, class_id: int) -> float:
    """From decoded masks: over the parts of the image's class, the mean best IoU of any predicted mask."""
    block = image_id // project.store.info.block_size
    truth, predicted = (project.layer(name).read(block) for name in ("truth-parts", "distill"))
    truth = truth.take((truth["image_id"] == image_id) & (truth["category_id"] == class_id))
    predicted = predicted.take(predicted["image_id"] == image_id)
    size = int(truth["height"][0]), int(truth["width"][0])
    drawn, guessed = (masks.decode(rows.ragged("rle"), *size) for rows in (truth, predicted))
    best = [max([(d & g).sum() / (d | g).sum() for g in guessed], default=0.0) for d in drawn]
    return float(np.mean(best))


def test_quality_is_the_mean_best_iou(project: Project) -> None:
    """It equals a count over the pixels of every held-out image; best first, worst first, and no image twice."""
    gallery = best_and_worst(project, project["eval-distill"], "distill", ["distill"], 6)
    images = project.layer("ingest").scan(["image_id", "class_id", "split"])
    held_out = {
        int(i): quality(project, int(i), int(c))
        for rows in images
        for i, c, split in zip(rows["image_id"], rows["class_id"], rows["split"], strict=True)
        if split == "val"
    }
    assert gallery.scored == len(held_out) == 12
    shown = {int(card.caption.split(" ")[0]): card.quality for card in (*gallery.best, *gallery.worst)}
    assert shown == pytest.approx(held_out)
    high, low = [c.quality for c in gallery.best], [c.quality for c in gallery.worst]
    assert high == sorted(high, reverse=True) and low == sorted(low) and min(high) >= max(low)


def test_a_few_images_are_not_shown_twice(project: Project) -> None:
    """Of twelve images, the nine best would leave three for the worst: half of them are shown on each side."""
    gallery = best_and_worst(project, project["eval-distill"], "distill", [], 9)
    assert (len(gallery.best), len(gallery.worst)) == (6, 6)
    gallery = best_and_worst(project, project["eval-labels"], "proposals", [], 2)
    assert (len(gallery.best), len(gallery.worst)) == (2, 2)


def test_random_images_are_the_same_every_time(project: Project) -> None:
    """The choice has a fixed seed; cards have no quality, and one picture per node that has masks of the image."""
    first, second = (by_chance(project, ["detic"], 3) for _ in range(2))
    assert first == second and len(first.best) == 3 and first.worst == ()
    assert {card.quality for card in first.best} == {None}
    assert all(card.pictures[0].title == "image" for card in first.best)
