"""Feature backends of grouping: networks of random weights, saved as transformers saves them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from pdstore import Catalog, Rows, Store, masks
from schemas.stages import GroupingSettings
from schemas.tables import OBJECTS, TABLES
from schemas.training import NetworkSettings
from stages.features import pixels as pixels_backend
from stages.features.protocol import Features
from stages.kernels.clustering import torch_grouping
from stages.kernels.clustering.grouping import group_pixels
from stages.kernels.pixel_features import pixel_features
from stages.models.network import build
from stages.models.network_files import save_network
from stages.nodes import grouping
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.runner import run_node
from stages.unit import Setup, Unit
from tests.stages.features.backbones import MODELS, SIZE, photo, save_all, settings_of


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each kind of network, in the layout of the hub."""
    return save_all(tmp_path_factory.mktemp("checkpoints"))


def thing(image_id: int, mask: np.ndarray) -> dict[str, object]:
    size = {"height": mask.shape[0], "width": mask.shape[1], "area": int(mask.sum())}
    named = {"object_id": 0, "category_id": 0, "category_name": "cat", "score": 0.5}
    return {"image_id": image_id, **named, **size, "rle": masks.encode(mask[None])[0]}


def group(bench, settings: GroupingSettings, pictures: list[np.ndarray], block: int = 0, **setup: object) -> Rows:
    """The parts of one object per image, which is the image without a border of 4 pixels."""
    records = []
    for number, pixels in enumerate(pictures):
        mask = np.zeros(pixels.shape[:2], bool)
        mask[4:-4, 4:-4] = True
        records.append(thing(4 * block + number, mask))
    images, objects = bench.images(*pictures, unit=block), bench.put("objects", OBJECTS, records, block)
    unit = bench.unit(block, images=images, objects=objects)
    rows = grouping.start(settings, bench.setup(**setup))(unit).rows
    assert unit.faults == []
    return rows


@pytest.mark.parametrize("name", MODELS)
def test_an_object_is_grouped_by_any_backbone(bench, checkpoints: Path, name: str) -> None:
    """The parts share out the object's pixels, and a part's feature has the channels of all layers."""
    folder = checkpoints / name
    settings = settings_of(folder, k=2, metric="l2", out_features=("stage2", "stage3"), batch_size=2)
    rows = group(bench, settings, [photo(64, 96, 1), photo(96, 64, 2), photo(64, 96, 3)], files={"weights": folder})
    assert rows["image_id"].tolist() == [0, 0, 1, 1, 2, 2]
    assert rows["feature"].shape == (6, 24 if name == "convnext" else 32)
    for number in range(3):
        own = rows.take(rows["image_id"] == number)
        stack = masks.decode(own.ragged("rle"), int(own["height"][0]), int(own["width"][0]))
        assert (stack.sum(0)[4:-4, 4:-4] == 1).all() and stack.sum() == stack[:, 4:-4, 4:-4].sum()


def test_a_networks_own_maps_are_joined(bench, tmp_path: Path) -> None:
    """Backend backbone: the channels of the chosen maps, with the same result in batches and one by one."""
    small = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=4)
    save_network(build(small, 1), tmp_path / "network")
    pictures, models = [photo(64, 96, n) for n in range(3)], {"model": tmp_path / "network"}
    settings = GroupingSettings(k=2, metric="l2", maps=(1, 2), long_side=SIZE)
    rows = group(bench, settings, pictures, models=models)
    assert rows["feature"].shape == (6, 8 + 16)
    single = group(bench, settings.model_copy(update={"batch_size": 1}), pictures, 1, models=models)
    assert single["area"].tolist() == rows["area"].tolist()


def test_features_are_compared_in_sql(grouped: Store, checkpoints: Path) -> None:
    """Each backend, metric and k leads to its own layer, and ``parts_all`` holds them side by side."""
    for overrides in (
        ["backend=auto", f"weights={checkpoints / 'dinov2'}", "long_side=56", "k=2"],
        [
            "backend=auto",
            f"weights={checkpoints / 'dinov2'}",
            "long_side=56",
            "k=2",
            "metric=l2",
            "out_features=[stage1]",
        ],
    ):
        project = Project.open(grouped, [f"grouping.{text}" for text in overrides])
        run_node(project, "grouping", RunOptions(new_layer=True, max_error_rate=1.0))
    sql = "SELECT layer, max(part_id) + 1 AS k, count(DISTINCT image_id) AS images FROM parts_all GROUP BY layer"
    found = Catalog(grouped, TABLES.values(), grouped.current()).query(sql).to_pylist()
    assert sorted(row["k"] for row in found) == [2, 2, 4]
    assert len({row["layer"] for row in found}) == 3 and all(row["images"] > 0 for row in found)


def test_every_backend_has_a_module() -> None:
    """Every backend that the settings allow can be imported."""
    assert set(get_args(GroupingSettings.model_fields["backend"].annotation)) == set(grouping.BACKENDS)
    assert all(importlib.util.find_spec(module) for module in grouping.BACKENDS.values())


def test_an_image_is_left_out_only_if_none_of_its_objects_is_grouped(bench) -> None:
    """A small object next to a large one is left out by itself; one that is alone takes its image with it."""
    pictures = [photo(64, 96, 1), photo(64, 96, 2)]
    large, small = np.zeros((2, 64, 96), bool)
    large[4:-4, 4:-4], small[:1, :1] = True, True
    records = [thing(0, large), {**thing(0, small), "object_id": 1}, thing(1, small)]
    images, objects = bench.images(*pictures), bench.put("objects", OBJECTS, records)
    unit = bench.unit(images=images, objects=objects)
    settings = GroupingSettings(backend="pixels", k=2, metric="l2", objects_per_image=2)
    rows = grouping.start(settings, bench.setup())(unit).rows
    assert set(rows["image_id"].tolist()) == {0} and set(rows["object_id"].tolist()) == {0}
    assert unit.left_out == {"object": 1} and unit.num_rejected("too_few_points") == 1
    assert [fault["image_id"] for fault in unit.faults] == [0, 1]


@pytest.fixture
def as_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backend pixels leaves its features in tensors, as one whose network runs on a GPU does."""
    start = pixels_backend.start

    def wrapped(settings: GroupingSettings, setup: Setup) -> Features:
        features = start(settings, setup)
        return lambda unit, image_ids: ((n, torch.from_numpy(maps)) for n, maps in features(unit, image_ids))

    monkeypatch.setattr(pixels_backend, "start", wrapped)


SMALL = GroupingSettings(backend="pixels", k=3, metric="l2", n_init=3, objects_per_image=2)


def unit_of_many(bench, block: int, number: int = 19) -> Unit:
    """A unit of images with two objects each, of which every second one of the second kind is too small."""
    images = bench.images(*(photo(64, 96, n) for n in range(number)), unit=block)
    records = []
    for image_id in range(4 * block, 4 * block + number):
        large, small = np.zeros((2, 64, 96), bool)
        large[4:-4, 4:-4], small[: 40 if image_id % 2 else 1, :30] = True, True
        records += [thing(image_id, large), {**thing(image_id, small), "object_id": 1}]
    return bench.unit(block, images=images, objects=bench.put("objects", OBJECTS, records, block))


def test_objects_on_a_device_are_grouped_together(bench, as_tensors: None) -> None:
    """Tensors give the parts and the errors that arrays give, with more objects than wait on the device."""
    unit = unit_of_many(bench, 0)
    rows = grouping.start(SMALL, bench.setup())(unit).rows
    images = np.unique(rows["image_id"])
    assert len(images) == 19 and unit.left_out == {"object": 10}
    for image_id in range(19):
        own = rows.take(rows["image_id"] == image_id)
        assert own["object_id"].tolist() == [0, 0, 0] + [1, 1, 1] * (image_id % 2)


def test_tensors_and_arrays_give_the_same_parts(bench, request: pytest.FixtureRequest) -> None:
    """Areas are equal, and features are equal in the precision in which they are stored."""
    arrays, unit = grouping.start(SMALL, bench.setup())(unit_of_many(bench, 0, 4)).rows, unit_of_many(bench, 1, 4)
    request.getfixturevalue("as_tensors")
    tensors = grouping.start(SMALL, bench.setup())(unit).rows
    assert arrays["area"].tolist() == tensors["area"].tolist()
    np.testing.assert_allclose(arrays["feature"].astype(float), tensors["feature"].astype(float), atol=2e-3)


def test_objects_that_do_not_fit_together_are_grouped_one_by_one(
    bench, as_tensors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device without memory for several costs no object; one that does not fit alone is left out by itself."""
    group = torch_grouping.group_objects

    def with_little_memory(objects: list, *settings: Any, **more: Any) -> list:
        if len(objects) > 1 or objects[0][1].sum() == 40 * 30:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return group(objects, *settings, **more)

    monkeypatch.setattr(torch_grouping, "group_objects", with_little_memory)
    unit = unit_of_many(bench, 0, 4)
    rows = grouping.start(SMALL, bench.setup())(unit).rows
    assert np.unique(rows["image_id"]).tolist() == [0, 1, 2, 3] and set(rows["object_id"].tolist()) == {0}
    assert sorted(fault["reason"] for fault in unit.faults) == ["out_of_memory"] * 2 + ["too_few_points"] * 2


DIVIDED = SMALL.model_copy(update={"divide": 8, "k_min": 2, "boundary": 0.5, "position": 0.5, "blur": 0.8})


def test_divided_objects_are_the_same_from_tensors(bench, request: pytest.FixtureRequest) -> None:
    """Blurred, with places, divided and merged: areas are equal, and features have the channels of the maps alone."""
    arrays, unit = grouping.start(DIVIDED, bench.setup())(unit_of_many(bench, 0, 4)).rows, unit_of_many(bench, 1, 4)
    assert arrays["feature"].shape[1] == 9 and arrays["part_id"].max() < 3
    counts = [len(own) for own in arrays.by("image_id").values()]
    assert min(counts) >= 2
    request.getfixturevalue("as_tensors")
    tensors = grouping.start(DIVIDED, bench.setup())(unit).rows
    assert arrays["area"].tolist() == tensors["area"].tolist()
    np.testing.assert_allclose(arrays["feature"].astype(float), tensors["feature"].astype(float), atol=2e-3)


@pytest.mark.parametrize("tensors", [False, True])
def test_an_object_of_few_cells_is_divided_into_k_at_once(bench, request: pytest.FixtureRequest, tensors: bool) -> None:
    """Six cells are too few for eight segments, but enough for three: the object keeps its parts."""
    if tensors:
        request.getfixturevalue("as_tensors")
    mask = np.zeros((64, 96), bool)
    mask[4:12, 4:16] = True
    images, objects = bench.images(photo(64, 96, 1)), bench.put("objects", OBJECTS, [thing(0, mask)])
    unit = bench.unit(images=images, objects=objects)
    rows = grouping.start(DIVIDED.model_copy(update={"k_min": 0}), bench.setup())(unit).rows
    assert rows["area"].sum() == mask.sum() and len(rows) == 3 and unit.faults == []


def test_two_numbers_of_segments_are_levels_of_one_tree(bench) -> None:
    """With one ``divide``, each segment of the node with the smaller k is a union of segments of the other."""
    settings, levels = DIVIDED.model_copy(update={"k_min": 0}), []
    for block, k in enumerate((5, 2)):
        level = settings.model_copy(update={"k": k})
        rows = group(bench, level, [photo(64, 96, n) for n in range(3)], block)
        levels.append(masks.decode(rows.ragged("rle"), 64, 96).reshape(3, k, 64, 96))
    for fine, coarse in zip(*levels, strict=True):
        inside = (fine[:, None] & coarse).sum((2, 3))
        assert ((inside == 0) | (inside == fine.sum((1, 2))[:, None])).all()


def test_colours_divide_but_are_not_stored(bench, tmp_path: Path) -> None:
    """Backend backbone: with a large weight the parts are those of the colours; the feature has the maps alone."""
    small = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=4)
    save_network(build(small, 1), tmp_path / "network")
    picture = np.full((64, 96, 3), (120, 60, 60), np.uint8)
    picture[:, 48:] = (60, 60, 120)
    picture[40:] //= 2
    settings = GroupingSettings(k=2, metric="l2", maps=(1, 2), map_weights=(1, 0.5), colour=1000, long_side=0)
    rows = group(bench, settings, [picture], models={"model": tmp_path / "network"})
    assert rows["feature"].shape == (2, 8 + 16)
    halves = masks.decode(rows.ragged("rle"), 64, 96)
    assert sorted(halves[:, 4:-4, 4:44].mean((1, 2)).tolist()) == [0, 1]
    assert sorted(halves[:, 4:-4, 52:-4].mean((1, 2)).tolist()) == [0, 1]


def test_without_settings_of_its_division_an_object_has_the_groups_of_k_means(bench) -> None:
    """Labels and features are those of the maps alone: what was stored before there were such settings."""
    settings, picture = GroupingSettings(backend="pixels", k=3, metric="l2"), photo(64, 96, 1)
    rows = group(bench, settings, [picture])
    mask = np.zeros((64, 96), bool)
    mask[4:-4, 4:-4] = True
    expected = group_pixels(pixel_features(picture, 4), mask, 3, "l2", 0)
    assert np.array_equal(masks.decode(rows.ragged("rle"), 64, 96), expected.labels == np.arange(3)[:, None, None])
    assert rows["feature"].tobytes() == expected.features.astype(np.float16).tobytes()
