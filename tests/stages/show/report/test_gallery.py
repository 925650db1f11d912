"""Typical, best and worst images of the finished store."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pdstore import Rows, Store, masks
from stages.plan.project import Project
from stages.show.report.gallery import Card, Gallery, by_chance, by_quality


@pytest.fixture
def project(finished: Store) -> Project:
    return Project.open(finished)


def cards_of(gallery: Gallery) -> list[Card]:
    return [*gallery.typical, *gallery.best, *gallery.worst]


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
    gallery = by_quality(project, project["eval-distill"], "distill", ["distill"], 6)
    images = project.layer("ingest").scan(["image_id", "class_id", "split"])
    held_out = {
        int(i): quality(project, int(i), int(c))
        for rows in images
        for i, c, split in zip(rows["image_id"], rows["class_id"], rows["split"], strict=True)
        if split == "val"
    }
    assert gallery.scored == len(held_out) == 12
    shown = {int(card.caption.split(" ")[0]): card.quality for card in cards_of(gallery)}
    assert shown == pytest.approx(held_out)
    high, middle, low = ([c.quality for c in cards] for cards in (gallery.best, gallery.typical, gallery.worst))
    assert high == sorted(high, reverse=True) and low == sorted(low)
    assert min(high) >= max(middle) >= gallery.median >= min(middle) >= max(low)
    assert gallery.median == pytest.approx(np.median(list(held_out.values())))


def test_a_few_images_are_not_shown_twice(project: Project) -> None:
    """Of twelve images, nine cannot be typical, best and worst: each group has a third of them."""
    gallery = by_quality(project, project["eval-distill"], "distill", [], 9)
    assert [len(cards) for cards in (gallery.typical, gallery.best, gallery.worst)] == [4, 4, 4]
    assert len({card.caption for card in cards_of(gallery)}) == 12
    gallery = by_quality(project, project["eval-labels"], "proposals", [], 2)
    assert [len(cards) for cards in (gallery.typical, gallery.best, gallery.worst)] == [2, 2, 2]


def test_a_node_has_the_same_place_on_every_card(project: Project) -> None:
    """Pictures have a longer side of 512 pixels; masks that people drew have no score in their caption."""
    nodes = ["truth-parts", "detic-human", "distill"]
    cards = cards_of(by_quality(project, project["eval-distill"], "distill", nodes, 1))
    assert {tuple(cell.title for cell in card.cells) for card in cards} == {("", *nodes)}
    assert {max(c.picture.width, c.picture.height) for card in cards for c in card.cells if c.picture} == {512}
    assert not any("score" in cell.caption for card in cards for cell in card.cells if cell.title == "truth-parts")


def test_a_place_without_a_picture_says_why(copy_store: Callable[..., Store]) -> None:
    """The node has not got to the image, or has found nothing in it."""
    project = Project.open(copy_store())
    layer = project.layer("crf")
    for unit in layer.units():
        layer.withdraw(unit)
    (card,) = by_chance(project, ["detic", "crf"], 1).typical
    assert [(c.title, c.caption) for c in card.cells if c.picture is None] == [("crf", "not computed yet")]
    for unit in project.layer("ingest").units():
        layer.commit(unit, Rows.empty(layer.table))
    (card,) = by_chance(project, ["detic", "crf"], 1).typical
    assert [(c.title, c.caption) for c in card.cells if c.picture is None] == [("crf", "nothing found")]


def test_random_images_are_the_same_every_time(project: Project) -> None:
    """The choice has a fixed seed; cards have no quality, and one picture per node that has masks of the image."""
    first, second = (by_chance(project, ["detic"], 3) for _ in range(2))
    assert first == second and len(first.typical) == 3 and (first.best, first.worst) == ((), ())
    assert {card.quality for card in first.typical} == {None}
    assert all(card.cells[0].title == "" and card.cells[0].picture for card in first.typical)
