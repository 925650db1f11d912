from __future__ import annotations

from collections.abc import Callable

import pytest

from pdstore import Store
from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.show.report.contents import read_contents
from stages.show.report.facts import Fact, facts_of


def facts(store: Store) -> dict[str, Fact]:
    return {f.title: f for f in facts_of(read_contents(Project.open(store), num_images=0, num_classes=0))}


def test_a_finished_store(finished: Store) -> None:
    """The masks are those of the last model; the silhouette is the median of the classes; the score is the last one."""
    found = facts(finished)
    catalog = catalog_of(finished)
    (count,) = catalog.query("SELECT count(*) AS n FROM predictions WHERE node = 'distill'").to_pylist()
    (middle,) = catalog.query("SELECT median(silhouette) AS s FROM cluster_collapse WHERE node = 'ranking'").to_pylist()
    assert found["images"] == Fact("36", "images", "train 24, val 12")
    assert found["masks"] == Fact(f"{count['n']:,}", "masks", "distill")
    assert float(found["silhouette"].value) == pytest.approx(middle["s"], abs=0.006)
    assert found["mIoU"].note == "distill, demo, honest" and found["mIoU"].value.endswith(" %")


def test_without_clusters_the_masks_are_those_of_the_last_node(grouped: Store, classical: Callable[..., Store]) -> None:
    """No number is made up: without ground truth there is no score, and an empty store has no masks."""
    found = facts(grouped)
    assert found["masks"].note == "grouping" and not {"mIoU", "silhouette", "clusters"} & set(found)
    assert list(facts(classical())) == ["images", "classes", "nodes done"]
