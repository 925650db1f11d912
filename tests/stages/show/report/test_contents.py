from __future__ import annotations

from collections.abc import Callable

import pytest

from pdstore import Store
from pdstore.errors import UsageError
from stages.plan.project import Project
from stages.show.report.collages import Collages
from stages.show.report.contents import Contents, read_contents
from stages.show.report.gallery import Gallery


def contents_of(store: Store, dataset: str = "", num_images: int = 2, num_classes: int = 1) -> Contents:
    return read_contents(Project.open(store), dataset, num_images, num_classes)


def test_a_finished_store_has_every_part_of_the_page(finished: Store) -> None:
    """Its data set has results, stages, classes and a gallery of the truth and all stages; no random images."""
    contents = contents_of(finished)
    (page,) = contents.datasets
    assert page.scores.title == "demo" and page.results and page.recall == "AR@20"
    assert page.classes is not None and page.classes.node == page.rungs[-1].node == "distill"
    shown = ["", "truth-parts", *(rung.node for rung in page.rungs)]
    assert len(page.gallery.typical) == len(page.gallery.best) == len(page.gallery.worst) == 2
    assert all([cell.title for cell in card.cells] == shown for card in page.gallery.best)
    assert contents.samples.typical == () and contents.has_truth
    assert contents.collages.node == "distill" and len(contents.collages.shown) == 1
    assert contents.overview.images == 36 and len(contents.trainings) == 3 and contents.monitors.coverage


def test_without_ground_truth_images_are_random(grouped: Store) -> None:
    """They have the masks of the nodes that have committed some."""
    contents = contents_of(grouped, num_images=3)
    assert contents.datasets == [] and not contents.has_truth
    assert len(contents.samples.typical) == 3
    assert {tuple(c.title for c in card.cells) for card in contents.samples.typical} == {("", "detic", "grouping")}
    assert contents.collages.node == ""


def test_ground_truth_that_was_not_evaluated(copy_store: Callable[..., Store]) -> None:
    """The pipeline has ground truth, but there is no data set to show; images are random."""
    store = copy_store(*(f"eval-{name}" for name in ("one-part", "grouping", "crf", "labels", "distill")))
    contents = contents_of(store, num_images=1)
    assert contents.datasets == [] and contents.has_truth and len(contents.samples.typical) == 1


def test_no_pictures_are_read_if_none_are_wanted(finished: Store, grouped: Store) -> None:
    """With 0 images and 0 classes the page has numbers only."""
    contents = contents_of(finished, num_images=0, num_classes=0)
    assert contents.datasets[0].rungs and contents.datasets[0].gallery == Gallery()
    assert contents.collages.shown == () and contents_of(grouped, num_images=0).samples == Gallery()


def test_an_empty_store_has_no_pictures(classical: Callable[..., Store]) -> None:
    """Nothing has been ingested, so there is nothing to draw."""
    contents = contents_of(classical())
    assert contents.samples == Gallery() and contents.collages == Collages()
    assert contents.overview.images == 0 and contents.trainings == []


def test_an_unknown_data_set_is_refused(finished: Store) -> None:
    """The error suggests the nearest name."""
    with pytest.raises(UsageError, match="Did you mean 'truth'"):
        contents_of(finished, "trut")
