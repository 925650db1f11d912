"""Two cats in two colours, and candidates in two groups: how stable they are is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pdstore import Identity, Layer, Rows, Table
from pdstore.errors import UsageError
from schemas.stages import ProxiesSettings
from schemas.tables import CANDIDATES, CLUSTERS, OBJECTS, PARTS
from stages.nodes import proxies
from stages.source.listing import ImageClass
from stages.unit import Control, Output, Unit
from tests.stages.nodes.records import cluster, part, thing

SIZE = 24
TWO = {"k": 2, "metric": "l2", "n_init": 2}
INSIDE = np.zeros((SIZE, SIZE), bool)
INSIDE[2:-2, 4:-2] = True


def cat(seed: int) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8: red on the left, blue on the right, with a little noise."""
    pixels = np.random.default_rng(seed).integers(0, 10, (SIZE, SIZE, 3))
    pixels[:, :14, 0] += 220
    pixels[:, 14:, 2] += 220
    return pixels.astype(np.uint8)


def made_by(bench: Any, stage: str, settings: dict[str, Any], table: Table, records: list[dict[str, Any]]) -> Layer:
    """A layer that says what made it."""
    layer = bench.store.declare(stage, Identity(stage, 1, settings), table, "test")
    layer.commit(0, Rows.from_records(table, records))
    return layer


@pytest.fixture
def pictures(bench) -> Layer:
    return bench.images(cat(0), cat(1))


@pytest.fixture
def grouped(bench, pictures) -> dict[str, Layer]:
    """Two cats, each with two parts by colour; a third object was too far down the list to be grouped."""
    objects = [thing(0, INSIDE), thing(1, INSIDE), thing(1, INSIDE, category=1, object_id=1)]
    settings = {"backend": "pixels", "stride": 2, "long_side": 0, "objects_per_image": 1, **TWO}
    return {
        "images": pictures,
        "objects": bench.put("objects", OBJECTS, objects),
        "segments": made_by(bench, "grouping", settings, PARTS, [part(0, 0, INSIDE)]),
    }


@pytest.fixture
def ranked(bench, pictures) -> dict[str, Layer]:
    """Forty candidates of cats in two groups; the one dog has one candidate."""
    rng, records = np.random.default_rng(0), []
    for number in range(41):
        record = {"image_id": number // 20, "object_id": 0, "segment_id": number, "category_id": int(number == 40)}
        record |= {"score": 0.9, "area": 5, "object_ratio": 0.5}
        feature = rng.normal(size=3, scale=0.1) + np.array([4 * (number % 2), 0, 1])
        records.append(record | {"feature": feature.astype(np.float16)})
    return {
        "images": pictures,
        "candidates": bench.put("candidates", CANDIDATES, records),
        "clusters": made_by(bench, "ranking", TWO, CLUSTERS, [cluster(0, 0, [0, 0, 1])]),
    }


def measured(bench: Any, layers: dict[str, Layer], **settings: Any) -> tuple[Output, Unit]:
    unit = bench.unit(**layers)
    return proxies.start(ProxiesSettings(**settings), bench.setup())(unit), unit


def values(output: Output) -> dict[tuple[str, str, str], tuple[float, int]]:
    """(step, proxy, class) -> value and samples."""
    rows = output.rows.to_arrow().to_pylist()
    return {(r["step"], r["proxy"], r["class_name"]): (r["value"], r["samples"]) for r in rows}


def test_objects_of_two_colours_are_divided_the_same_way_again(bench, grouped) -> None:
    """From another seed and in the mirror image; the object that was not grouped is not measured."""
    output, unit = measured(bench, grouped)
    found = values(output)
    for proxy in ("seeds", "mirror"):
        assert found["division", proxy, "cat"] == found["division", proxy, ""]
        assert found["division", proxy, ""] == (pytest.approx(1, abs=0.05), 2)
    assert 0.3 < found["division", "k", ""][0] < 0.95
    assert 0 < found["division", "silhouette", ""][0] <= 1
    assert set(output.rows["evaluated"]) == {"grouping"} and unit.faults == []


def test_pictures_are_mirrored_and_so_are_their_masks(bench, grouped, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features of the mirror image are those of the mirrored pixels, beside the object's own mask."""
    seen = []
    of_object = proxies.of_object
    monkeypatch.setattr(proxies, "of_object", lambda *a: seen.append(a) or of_object(*a))
    measured(bench, grouped)
    own, mirrored, mask, _ = seen[0]
    assert (mask == INSIDE).all() and own.shape == mirrored.shape
    # Red, the first channel, is on the left of the picture, and on the right of its mirror image.
    assert own[0, :, 0].mean() > own[0, :, -1].mean() and mirrored[0, :, 0].mean() < mirrored[0, :, -1].mean()


def test_a_sample_is_drawn_by_its_seed(bench, grouped) -> None:
    """One of two objects is measured, the same one each time."""
    found = [values(measured(bench, grouped, objects=1, seed=seed)[0]) for seed in (0, 0, 1, 2, 3)]
    assert found[0] == found[1] and {one["division", "seeds", ""][1] for one in found} == {1}
    assert len({one["division", "silhouette", ""] for one in found}) == 2


def test_candidates_in_two_groups_are_clustered_the_same_way_again(bench, ranked) -> None:
    """Each half of them is enough; a class with too few is left out and is no fault of the stage."""
    output, unit = measured(bench, ranked)
    found = values(output)
    for proxy in ("seeds", "halves"):
        assert found["naming", proxy, ""] == found["naming", proxy, "cat"] == (1, 40)
    assert found["naming", "silhouette", ""][0] > 0.8 and found["naming", "k", ""][0] < 1
    assert not any(name == "dog" for _, _, name in found) and unit.faults == []
    assert {samples for _, samples in values(measured(bench, ranked, segments=10)[0]).values()} == {10}


def test_both_steps_are_measured_at_once_with_equal_bytes(bench, grouped, ranked) -> None:
    """The rows of both come one after the other, and a second time they are the same."""
    output, _ = measured(bench, grouped | ranked)
    assert set(output.rows["step"]) == {"division", "naming"}
    again, _ = measured(bench, grouped | ranked)
    assert again.rows.to_arrow().to_pylist() == output.rows.to_arrow().to_pylist()


def test_classes_that_share_a_name_are_told_apart(bench, ranked) -> None:
    """They are called by their codes."""
    twins = (ImageClass(0, "n00000001", "cat"), ImageClass(1, "n00000002", "cat"))
    unit = bench.unit(**ranked)
    rows = proxies.start(ProxiesSettings(), bench.setup(classes=twins))(unit).rows
    assert set(rows["class_name"]) == {"", "n00000001"}


def test_a_picture_that_cannot_be_read_is_a_row_of_errors(bench, grouped) -> None:
    """Once, although it would be read twice; the other one is measured."""
    (bench.folder / "0_0.png").write_bytes(b"no picture")
    output, unit = measured(bench, grouped)
    assert values(output)["division", "seeds", ""][1] == 1
    assert [fault["image_id"] for fault in unit.faults] == [0]


def test_settings_that_are_not_repeated_are_noted(bench, ranked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that was made by more than k-means is measured without it, and the run says so."""
    notes: list[str] = []
    unit = replace(bench.unit(**ranked), control=Control(note=notes.append))
    proxies.start(ProxiesSettings(), bench.setup())(unit)
    assert notes == []
    monkeypatch.setattr(proxies, "REPEATED", proxies.REPEATED - {"n_init"})
    proxies.start(ProxiesSettings(), bench.setup())(unit)
    assert notes == ["ranking is measured as plain k-means, without its settings n_init"]


def test_what_cannot_be_measured_is_refused(bench, grouped, ranked) -> None:
    """Nothing to measure, one input of two, or a layer that another stage has made."""
    with pytest.raises(UsageError, match="both of the inputs segments and clusters are missing"):
        measured(bench, {"images": grouped["images"]})
    with pytest.raises(UsageError, match="the input clusters needs an input candidates, but there is none"):
        measured(bench, {name: ranked[name] for name in ("images", "clusters")})
    other = bench.put("smoothed", PARTS, [part(0, 0, INSIDE)])
    with pytest.raises(UsageError, match="smoothed: .*only the results of stage grouping can be made again"):
        measured(bench, grouped | {"segments": other})
