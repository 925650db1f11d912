"""Backbones of transformers as feature backends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, Dinov2Model

from pdstore.errors import CorruptData, InputMissing, UsageError
from schemas.stages import GroupingSettings
from stages.features import auto
from stages.features.auto import AutoFeatures
from tests.stages.features.backbones import MODELS, photo, settings_of


@pytest.mark.parametrize(
    ("name", "stages", "height", "width", "shapes"),
    [
        ("dinov2", ("stage1", "stage3"), 64, 96, [(16, 5, 7), (16, 5, 7)]),
        ("dinov3", ("stage2",), 96, 64, [(16, 6, 4)]),
        ("convnext", ("stage2", "stage3"), 64, 96, [(8, 8, 12), (16, 4, 6)]),
    ],
)
def test_maps_are_those_of_the_requested_stages(
    checkpoints: Path, name: str, stages: tuple[str, ...], height: int, width: int, shapes: list[tuple[int, ...]]
) -> None:
    """One map per stage: a ViT has one cell per patch, a pyramid starts with the finest; sides are whole patches."""
    network = AutoFeatures(checkpoints / name, settings_of(checkpoints / name, out_features=stages), "cpu")
    (maps,) = network.maps([photo(height, width)])
    assert [found.shape for found in maps] == shapes
    assert all(found.dtype == torch.float32 for found in maps)


def test_without_stages_the_last_one_is_taken(checkpoints: Path) -> None:
    """The last stage of DINOv2, after the final norm, equals the output of the model itself."""
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
    """Pictures of equal size share a batch, and none influences another."""
    network = AutoFeatures(checkpoints / name, settings_of(checkpoints / name), "cpu")
    pictures = [photo(64, 96, 1), photo(128, 192, 2)]
    assert network.size(pictures[0]) == network.size(pictures[1])
    both = network.maps(pictures)
    for pixels, maps in zip(pictures, both, strict=True):
        for alone, batched in zip(network.maps([pixels])[0], maps, strict=True):
            assert np.allclose(alone, batched, atol=1e-5)


def test_the_image_processor_determines_the_normalisation(checkpoints: Path, tmp_path: Path) -> None:
    """The mean and std of preprocessor_config.json are used if the file exists."""
    folder = tmp_path / "own"
    shutil.copytree(checkpoints / "dinov3", folder)
    before = AutoFeatures(folder, settings_of(folder), "cpu").maps([photo(96, 96)])[0][0]
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.0] * 3, "image_std": [1.0] * 3}))
    after = AutoFeatures(folder, settings_of(folder), "cpu").maps([photo(96, 96)])[0][0]
    assert not np.allclose(before, after, atol=1e-3)


def test_input_scale_gives_more_cells(checkpoints: Path) -> None:
    """An image enlarged by a factor of two has twice as many cells along each side."""
    network = AutoFeatures(checkpoints / "dinov3", settings_of(checkpoints / "dinov3", input_scale=2), "cpu")
    assert network.maps([photo(96, 64)])[0][0].shape == (16, 12, 8)


def test_unknown_stages_are_refused(checkpoints: Path) -> None:
    """If the backbone does not have a stage, the error lists its stages and suggests the nearest."""
    with pytest.raises(UsageError, match=r"no stage .stage9.; its stages are stem, stage1.*Did you mean"):
        AutoFeatures(checkpoints / "dinov2", settings_of(checkpoints / "dinov2", out_features=("stage9",)), "cpu")


def test_a_checkpoint_that_is_no_backbone_is_refused(tmp_path: Path) -> None:
    """A language model has no feature maps."""
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=8, **shape)).save_pretrained(tmp_path / "bert")
    with pytest.raises(UsageError, match="AutoBackbone does not support this checkpoint"):
        AutoFeatures(tmp_path / "bert", settings_of(tmp_path / "bert"), "cpu")


def test_missing_weights_are_refused(checkpoints: Path, tmp_path: Path) -> None:
    """A missing tensor is named in an error: no weight is silently random."""
    folder = tmp_path / "holed"
    shutil.copytree(checkpoints / "dinov3", folder)
    weights = load_file(folder / "model.safetensors")
    (lost,) = [name for name in weights if name.endswith("layer.1.mlp.up_proj.weight")]
    del weights[lost]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CorruptData, match=r"has no weights for \S*layer\.1\.mlp\.up_proj\.weight"):
        AutoFeatures(folder, settings_of(folder), "cpu")


def test_a_damaged_checkpoint_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    """A truncated or missing file of weights is CorruptData instead of an error of another library."""
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
    with pytest.raises(UsageError, match=r"grouping\.weights: backend auto needs weights, but none are set.*hub name"):
        auto.start(GroupingSettings(backend="auto"), bench.setup())
    with pytest.raises(InputMissing, match="a folder that save_pretrained wrote, or a hub name"):
        auto.start(settings_of(tmp_path / "none"), bench.setup(files={"weights": tmp_path / "none"}))
