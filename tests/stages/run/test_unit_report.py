from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pdstore import Layer, Rows, Store, masks
from schemas.tables import CLUSTERS, METRICS
from stages.kernels.pictures import colour_of
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.run.computation import Computation
from stages.run.unit_report import cluster_drawing, cluster_numbers, cluster_table, pictures, score_table, scores
from stages.track.masked_picture import MaskedPicture
from stages.unit import Control

NAMES = {0: "cat", 1: "dog"}


def of_block(store: Store, name: str, block: int, every: int) -> dict[int, MaskedPicture]:
    project = Project.open(store)
    unit = Computation(project, {name: Inputs(project, name)}, Control(), 0.5).unit(name, block)
    return dict(pictures(unit, project.layer(name), every, NAMES))


def image_ids(layer: Layer, block: int) -> set[int]:
    return set(layer.read(block, ["image_id"])["image_id"].tolist())


@pytest.mark.parametrize("every", [1, 2, 5, 100])
def test_about_one_image_in_so_many_is_shown(ready: Store, every: int) -> None:
    """The first with masks from each multiple on, wherever blocks begin; none from a block without a multiple."""
    layer = Project.open(ready).layer("grouping")
    for block in range(4):
        found = {3 * block + position for position in of_block(ready, "grouping", block, every)}
        starts = [start for start in range(0, 12, every) if 3 * block <= start < 3 * block + 3]
        ids = sorted(image_ids(layer, block))
        wanted = {next((i for i in ids if start <= i < start + every), None) for start in starts} - {None}
        assert found == wanted


def test_a_picture_has_the_masks_of_the_node_and_of_its_input(ready: Store) -> None:
    """The masks are those of the store, in the pixels of the picture, the best on top."""
    layer = Project.open(ready).layer("grouping")
    position, picture = next(iter(of_block(ready, "grouping", 0, 1).items()))
    assert [group.node for group in picture.groups] == ["grouping", "detic"]
    assert max(picture.pixels.shape) == 512 and picture.caption.startswith(f"{position} · ")
    rows = layer.read(0)
    rows = rows.take(rows["image_id"] == position)
    stack = masks.decode(rows.ragged("rle"), int(rows["height"][0]), int(rows["width"][0]))
    group = picture.groups[0]
    for number, mask in enumerate(stack[np.argsort(-rows["score"], kind="stable")]):
        assert ((group.top == number) == masks.resize_nearest(mask, 512, 512)).all()
    assert all(name.split(" part ")[0] in NAMES.values() for name in group.names)


def test_images_have_no_masks(ready: Store) -> None:
    """The node that reads the files shows them as they are."""
    found = of_block(ready, "ingest", 1, 1)
    assert len(found) == 3 and all(picture.groups == [] for picture in found.values())


def test_an_image_that_is_gone_is_not_shown(ready: Store) -> None:
    """A picture is no reason to fail; the rows are there all the same."""
    project = Project.open(ready)
    before = of_block(ready, "grouping", 0, 1)
    block = project.listing.read(0)
    gone = Path(project.source.root) / block[next(iter(before))].key
    data = gone.read_bytes()
    gone.unlink()
    try:
        assert of_block(ready, "grouping", 0, 1).keys() == before.keys() - {next(iter(before))}
    finally:
        gone.write_bytes(data)


def metrics(*records: tuple[str, str, str, str, float]) -> Rows:
    names = ("evaluated", "protocol", "metric", "class_name", "value")
    return Rows.from_records(
        METRICS, [{**dict(zip(names, r, strict=True)), "part_name": "", "step": 0} for r in records]
    )


def test_scores_are_named_by_protocol_and_metric() -> None:
    """A second node that was scored has its name in them; numbers about one class are in the table."""
    rows = metrics(
        ("labels", "honest", "C-mIoU", "", 40.0),
        ("labels", "honest", "mIoU", "cat", 30.0),
        ("labels", "reference", "AR@200", "", 20.0),
        ("proposals", "reference", "AR@200", "", 50.0),
    )
    expected = {"eval/honest/C-mIoU": 40.0, "eval/reference/AR@200": 20.0, "eval/reference/proposals/AR@200": 50.0}
    assert scores(rows) == expected
    assert [line[2] for line in score_table(rows).rows] == ["cat"]
    assert scores(metrics(("weights", "weights", "parameters", "", 7.0))) == {"weights/parameters": 7.0}
    assert scores(metrics()) == {}


def clusters(*records: tuple[int, int, int, float]) -> Rows:
    names = ("category_id", "cluster", "size", "silhouette")
    rest = {"mean_distance": 1.0, "centroid": np.zeros(2, np.float32)}
    return Rows.from_records(CLUSTERS, [{**dict(zip(names, r, strict=True)), **rest} for r in records])


def test_clusters_are_summed_up() -> None:
    """Means over classes, a line per cluster with the name of its class, and one bar per class."""
    rows = clusters((0, 0, 3, 0.5), (0, 1, 1, np.nan), (1, 0, 1, 0.1), (1, 1, 1, 0.3))
    numbers = cluster_numbers(rows)
    assert (numbers["clusters/classes"], numbers["clusters/segments"]) == (2, 6)
    assert numbers["clusters/largest_ratio"] == pytest.approx((0.75 + 0.5) / 2)
    assert numbers["clusters/silhouette"] == pytest.approx(0.3)
    assert [line[:3] for line in cluster_table(rows, NAMES).rows][:2] == [("cat", 0, 3), ("cat", 1, 1)]
    drawn = np.asarray(cluster_drawing(rows, NAMES))
    assert all((drawn == colour_of(number)).all(2).any() for number in (0, 1))
    assert cluster_numbers(clusters()) == {"clusters/classes": 0.0, "clusters/segments": 0.0}
