"""Everything that the page shows, read from the store."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.show.overlays import drawable
from stages.show.report.benchmark_rows import ResultRow, result_rows
from stages.show.report.classes import Classes, read_classes
from stages.show.report.collages import Collages, clustered_node, read_collages
from stages.show.report.gallery import Gallery, by_chance, by_quality
from stages.show.report.ladder import Rung, ladder, recall_metric
from stages.show.report.losses import Ledger, read_ledgers
from stages.show.report.overview import Overview, read_overview
from stages.show.report.proxies import proxy_table
from stages.show.report.scores import HONEST, DatasetScores, datasets_of, read_scores
from stages.show.report.tables import Table
from stages.show.report.trainings import Training, read_trainings
from stages.show.report.watch import Monitors, read_monitors

__all__ = ["Contents", "DatasetPage", "read_contents"]


@dataclass(frozen=True)
class DatasetPage:
    """What the page shows of one data set.

    Attributes:
        recall: name of the metric that is the rungs' recall.
    """

    scores: DatasetScores
    results: list[ResultRow]
    rungs: list[Rung]
    recall: str
    classes: Classes | None
    gallery: Gallery


@dataclass(frozen=True)
class Contents:
    """The content of the page.

    Attributes:
        samples: random images, if no data set has a gallery.
        collages: crops of the parts of each cluster, class by class.
        proxies: what was measured in place of losses, without ground truth; without rows if nothing was.
        has_truth: the pipeline has ground truth, whether it was evaluated or not.
    """

    overview: Overview
    datasets: list[DatasetPage]
    samples: Gallery
    collages: Collages
    monitors: Monitors
    trainings: list[Training]
    ledgers: list[Ledger]
    proxies: Table
    has_truth: bool


def read_contents(project: Project, dataset: str = "", num_images: int = 4, num_classes: int = 12) -> Contents:
    """Read the content of the page.

    Args:
        dataset: name of the only data set to show; empty for all.
        num_images: how many typical, best and worst images of each data set are shown; without ground truth, how many
            random images.
        num_classes: of how many classes a collage is shown: those with the most masks.

    Raises:
        UsageError: the pipeline has no data set of this name.
        CorruptData: a committed file cannot be read.
    """
    catalog, pipeline = catalog_of(project.store), project.pipeline
    scored = read_scores(catalog, pipeline, project.source.dataset_name, dataset)
    overview = read_overview(project, catalog)
    pages = [_dataset(project, scores, num_images) for scores in scored]
    samples = Gallery()
    if overview.images and num_images and not any(page.gallery.typical for page in pages):
        committed = [name for name in drawable(project) if project.shown(name).units()]
        samples = by_chance(project, committed, num_images)
    watch, trainings = read_monitors(catalog, pipeline), read_trainings(catalog, pipeline)
    models = [page.rungs[-1].miou_node for page in pages if page.rungs]
    # Without the images' files there are no crops either, but the classes are listed.
    collages = read_collages(project, watch, clustered_node(project, watch, models), num_classes)
    ledgers, has_truth = read_ledgers(catalog, pipeline), bool(datasets_of(pipeline))
    proxies = proxy_table(catalog, pipeline)
    return Contents(overview, pages, samples, collages, watch, trainings, ledgers, proxies, has_truth)


def _dataset(project: Project, scores: DatasetScores, num_images: int) -> DatasetPage:
    rungs = ladder(scores, project.pipeline)
    gallery = Gallery()
    if rungs and num_images:
        node = rungs[-1].miou_node or rungs[-1].node
        evaluation = scores.evaluation_of(node, HONEST)
        assert evaluation is not None
        shown = [evaluation.inputs["truth"][0], *(rung.node for rung in rungs)]
        gallery = by_quality(project, evaluation, node, shown, num_images)
    classes = read_classes(project.store, scores, rungs)
    return DatasetPage(scores, result_rows(scores, project.pipeline), rungs, recall_metric(scores), classes, gallery)
