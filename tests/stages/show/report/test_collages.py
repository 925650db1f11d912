"""Crops of the parts of each cluster, on the finished store and on a store without ground truth."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore import Store
from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.show.report.collages import Collages, clustered_node, read_collages
from stages.show.report.watch import Monitors, read_monitors


@pytest.fixture(scope="module")
def project(finished: Store) -> Project:
    return Project.open(finished)


@pytest.fixture(scope="module")
def monitors(finished: Store, project: Project) -> Monitors:
    return read_monitors(catalog_of(finished), project.pipeline)


@pytest.fixture(scope="module")
def collages(project: Project, monitors: Monitors) -> Collages:
    return read_collages(project, monitors, "distill", 2)


def test_the_last_node_with_clusters_is_shown(project: Project, monitors: Monitors) -> None:
    """The preferred one if it has any, otherwise the last of the pipeline; without clusters, none."""
    assert clustered_node(project, monitors) == "distill"
    assert clustered_node(project, monitors, ["labels", "grouping"]) == "labels"
    assert clustered_node(project, replace(monitors, use={})) == ""
    assert read_collages(project, monitors, "", 5) == Collages()


def test_classes_with_the_most_masks_have_pictures(finished: Store, collages: Collages) -> None:
    """The numbers are those of SQL, and the other classes are listed in the same order."""
    rows = catalog_of(finished).query(
        "SELECT class_name, sum(masks)::BIGINT AS masks, count(*) AS clusters FROM cluster_use WHERE node = 'distill' "
        "GROUP BY category_id, class_name ORDER BY masks DESC, category_id"
    )
    expected = [(row["class_name"], row["masks"], row["clusters"]) for row in rows.to_pylist()]
    assert [(c.class_name, c.masks, c.clusters) for c in collages.shown] == expected[:2]
    assert list(collages.others) == expected[2:] and collages.total == len(expected)
    for collage in collages.shown:
        assert sum(strip.masks for strip in collage.strips) == collage.masks
        assert sum(strip.share for strip in collage.strips) == pytest.approx(1)


def test_each_crop_is_of_another_image(project: Project, collages: Collages) -> None:
    """A cluster has as many crops as it has images, at most six; the picture has a place for each."""
    (first, *_) = collages.shown
    (class_id,) = [c.class_id for c in project.listing.classes() if c.name == first.class_name]
    for strip in first.strips:
        images = {
            int(image_id)
            for rows in project.shown("distill").scan(["image_id", "category_id", "cluster"])
            for image_id in rows["image_id"][(rows["category_id"] == class_id) & (rows["cluster"] == strip.cluster)]
        }
        assert strip.crops == min(len(images), 6)
        assert strip.picture is not None
        picture = Image.open(io.BytesIO(base64.b64decode(strip.picture.uri.partition(",")[2]))).convert("RGBA")
        assert picture.size == (2 * 164 - 4, -(-strip.crops // 2) * 164 - 4)
        middles = [
            np.asarray(picture)[y * 164 + 80, x * 164 + 80, 3] for y in range(picture.height // 160) for x in (0, 1)
        ]
        assert sum(alpha > 200 for alpha in middles) == strip.crops


def test_silhouettes_are_those_of_the_ranking(finished: Store, collages: Collages) -> None:
    """They are of the ranking that the node goes back to; a cluster that it does not have has no silhouette."""
    rows = catalog_of(finished).query("SELECT * FROM cluster_sizes WHERE node = 'ranking'").to_pylist()
    known = {(row["class_name"], row["cluster"]): row["silhouette"] for row in rows}
    found = {(c.class_name, strip.cluster): strip.silhouette for c in collages.shown for strip in c.strips}
    assert found == {key: known.get(key) for key in found}
    assert any(value is not None for value in found.values())


def test_the_same_store_gives_the_same_pictures(project: Project, monitors: Monitors, collages: Collages) -> None:
    """Nothing is drawn by lot."""
    assert read_collages(project, monitors, "distill", 2) == collages


def test_without_the_files_there_are_numbers(
    project: Project, monitors: Monitors, tmp_path: Path, collages: Collages
) -> None:
    """A strip has no picture then, and one sentence says which file is missing."""
    images = Path(project.source.root)
    hidden = images.rename(tmp_path / "hidden")
    try:
        found = read_collages(project, monitors, "distill", 1)
    finally:
        hidden.rename(images)
    assert "the file of the image is missing" in found.missing
    assert {(strip.picture, strip.crops) for strip in found.shown[0].strips} == {(None, 0)}
    assert [s.masks for s in found.shown[0].strips] == [s.masks for s in collages.shown[0].strips]
