"""Feature backends of grouping: networks of random weights, saved as transformers saves them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertModel,
    Dinov2Config,
    Dinov2Model,
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    PreTrainedModel,
)

from pdstore import Catalog, Rows, Store, masks
from pdstore.errors import CorruptData, InputMissing, UsageError
from schemas.stages import GroupingSettings
from schemas.tables import OBJECTS, TABLES
from schemas.training import NetworkSettings
from stages.features.auto import AutoFeatures
from stages.models.network import build
from stages.models.network_files import save_network
from stages.nodes import grouping
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.runner import run_node

VIT = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 56}
SIZE = 96


def _dinov2() -> PreTrainedModel:
    return Dinov2Model(Dinov2Config(patch_size=14, **VIT))


def _dinov3() -> PreTrainedModel:
    return DINOv3ViTModel(DINOv3ViTConfig(patch_size=16, intermediate_size=32, num_register_tokens=4, **VIT))


def _convnext() -> PreTrainedModel:
    return DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1]))


MODELS = {"dinov2": _dinov2, "dinov3": _dinov3, "convnext": _convnext}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one subfolder per kind of network, in the layout of the hub."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, make in MODELS.items():
        torch.manual_seed(0)
        make().save_pretrained(folder / name)
    return folder


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def settings_of(folder: Path, **values: object) -> GroupingSettings:
    return GroupingSettings(**{"backend": "auto", "weights": str(folder), "long_side": SIZE, **values})


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


@pytest.mark.parametrize(
    ("name", "stages", "height", "width", "shapes"),
    [
        ("dinov2", ("stage1", "stage3"), 64, 96, [(16, 5, 7), (16, 5, 7)]),
        ("dinov3", ("stage2",), 96, 64, [(16, 6, 4)]),
        ("convnext", ("stage2", "stage3"), 64, 96, [(8, 8, 12), (16, 4, 6)]),
    ],
)
def test_maps_are_those_of_the_stages_asked_for(
    checkpoints: Path, name: str, stages: tuple[str, ...], height: int, width: int, shapes: list[tuple[int, ...]]
) -> None:
    """One map per layer: of a ViT one cell per patch, of a pyramid the finest first; sides fit the patches."""
    network = AutoFeatures(checkpoints / name, settings_of(checkpoints / name, out_features=stages), "cpu")
    (maps,) = network.maps([photo(height, width)])
    assert [layer.shape for layer in maps] == shapes
    assert all(layer.dtype == np.float32 for layer in maps)


def test_without_stages_the_last_one_is_taken(checkpoints: Path) -> None:
    """DINOv2's last layer after the final norm is the model's own output."""
    network = AutoFeatures(checkpoints / "dinov2", settings_of(checkpoints / "dinov2", long_side=56), "cpu")
    pixels = photo(56, 56)
    (maps,) = network.maps([pixels])
    model = Dinov2Model.from_pretrained(checkpoints / "dinov2").eval()
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    tensor = torch.from_numpy((pixels / 255 - mean) / std).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        expected = model(tensor).last_hidden_state[0, 1:].T.reshape(16, 4, 4).numpy()
    assert len(maps) == 1 and np.allclose(maps[0], expected, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_gives_what_single_pictures_give(checkpoints: Path, name: str) -> None:
    """Pictures that fit the same size are computed together, and none affects another."""
    network = AutoFeatures(checkpoints / name, settings_of(checkpoints / name), "cpu")
    pictures = [photo(64, 96, 1), photo(128, 192, 2)]
    assert network.size(pictures[0]) == network.size(pictures[1])
    both = network.maps(pictures)
    for pixels, maps in zip(pictures, both, strict=True):
        for single, batched in zip(network.maps([pixels])[0], maps, strict=True):
            assert np.allclose(single, batched, atol=1e-5)


def test_the_image_processor_says_how_pixels_are_normalised(checkpoints: Path, tmp_path: Path) -> None:
    """The mean and std of preprocessor_config.json are used if that file exists."""
    folder = tmp_path / "own"
    shutil.copytree(checkpoints / "dinov3", folder)
    before = AutoFeatures(folder, settings_of(folder), "cpu").maps([photo(96, 96)])[0][0]
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.0] * 3, "image_std": [1.0] * 3}))
    after = AutoFeatures(folder, settings_of(folder), "cpu").maps([photo(96, 96)])[0][0]
    assert not np.allclose(before, after, atol=1e-3)


def test_input_scale_gives_more_cells(checkpoints: Path) -> None:
    """An image enlarged twice has twice the cells along each side."""
    network = AutoFeatures(checkpoints / "dinov3", settings_of(checkpoints / "dinov3", input_scale=2), "cpu")
    assert network.maps([photo(96, 64)])[0][0].shape == (16, 12, 8)


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
    layers = Catalog(grouped, TABLES.values(), grouped.current()).query(sql).to_pylist()
    assert sorted(row["k"] for row in layers) == [2, 2, 4]
    assert len({row["layer"] for row in layers}) == 3 and all(row["images"] > 0 for row in layers)


def test_unknown_stages_are_refused(checkpoints: Path) -> None:
    """For a stage that the backbone lacks, the error names the existing stages and the nearest one."""
    with pytest.raises(UsageError, match=r"no stage .stage9.; its stages are stem, stage1.*Did you mean"):
        AutoFeatures(checkpoints / "dinov2", settings_of(checkpoints / "dinov2", out_features=("stage9",)), "cpu")


def test_a_checkpoint_that_is_no_backbone_is_refused(tmp_path: Path) -> None:
    """A language model has no feature maps."""
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=8, **shape)).save_pretrained(tmp_path / "bert")
    with pytest.raises(UsageError, match="a checkpoint that AutoBackbone knows"):
        AutoFeatures(tmp_path / "bert", settings_of(tmp_path / "bert"), "cpu")


def test_missing_weights_are_refused(checkpoints: Path, tmp_path: Path) -> None:
    """The error names the tensor that the file lacks: no tensor silently keeps random weights."""
    folder = tmp_path / "holed"
    shutil.copytree(checkpoints / "dinov3", folder)
    weights = load_file(folder / "model.safetensors")
    (lost,) = [name for name in weights if name.endswith("layer.1.mlp.up_proj.weight")]
    del weights[lost]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CorruptData, match=r"found none for \S*layer\.1\.mlp\.up_proj\.weight"):
        AutoFeatures(folder, settings_of(folder), "cpu")


def test_a_damaged_checkpoint_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    """A truncated or missing file of weights is CorruptData, not a chain of errors from another library."""
    folder = tmp_path / "cut"
    shutil.copytree(checkpoints / "dinov2", folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptData, match="safetensors that fit"):
        AutoFeatures(folder, settings_of(folder), "cpu")
    path.unlink()
    with pytest.raises(CorruptData, match="safetensors that fit"):
        AutoFeatures(folder, settings_of(folder), "cpu")


def test_auto_needs_weights(bench, tmp_path: Path) -> None:
    """Without weights, or with a folder that does not exist, the error says what to set."""
    with pytest.raises(UsageError, match=r"grouping\.weights: expected weights for backend auto"):
        grouping.start(GroupingSettings(backend="auto"), bench.setup())
    with pytest.raises(InputMissing, match="a folder that save_pretrained wrote, or a hub name"):
        grouping.start(settings_of(tmp_path / "none"), bench.setup(files={"weights": tmp_path / "none"}))
