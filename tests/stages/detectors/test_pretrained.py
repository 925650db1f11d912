"""Checkpoints of transformers: complete ones are loaded, all others refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModelWithProjection, GroundingDinoForObjectDetection, Sam2Model

from pdstore.errors import CorruptData, InputMissing, UsageError
from schemas.stages import DeticSettings
from stages.detectors.pretrained import checkpoint, load_network, load_tokenizer


def test_the_checkpoint_is_the_folder_of_a_setting(bench, tmp_path: Path) -> None:
    """A local copy that the runner has made comes before the setting itself."""
    (tmp_path / "set").mkdir()
    (tmp_path / "copy").mkdir()
    settings = DeticSettings(backend="sam3", weights=str(tmp_path / "set"))
    assert checkpoint(settings, bench.setup(), "weights", "org/name") == tmp_path / "set"
    setup = bench.setup(files={"weights": tmp_path / "copy"})
    assert checkpoint(settings, setup, "weights", "org/name") == tmp_path / "copy"


def test_a_setting_that_is_empty_or_wrong_is_refused(bench, tmp_path: Path) -> None:
    """An empty setting is named with an example; a folder that does not exist is a missing input."""
    message = r"detic\.segmenter: backend sam3 needs weights, but none are set.*such as org/name"
    with pytest.raises(UsageError, match=message):
        checkpoint(DeticSettings(backend="sam3", weights=str(tmp_path)), bench.setup(), "segmenter", "org/name")
    with pytest.raises(InputMissing, match="nowhere"):
        checkpoint(
            DeticSettings(backend="sam3", weights=str(tmp_path / "nowhere")), bench.setup(), "weights", "org/name"
        )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("dino", GroundingDinoForObjectDetection), ("sam2", Sam2Model), ("clip", CLIPTextModelWithProjection)],
)
def test_a_network_has_the_weights_of_its_file(checkpoints, name: str, kind: type) -> None:
    """It is ready for inference: in evaluation mode, with every stored tensor in place."""
    network = load_network(kind, checkpoints[name], "cpu")
    state, stored = network.state_dict(), load_file(checkpoints[name] / "model.safetensors")
    assert not network.training and network.device.type == "cpu"
    shared = stored.keys() & state.keys()
    assert len(shared) > 10 and all(torch.equal(state[key], stored[key]) for key in shared)


def test_a_missing_tensor_is_named(checkpoints, tmp_path: Path) -> None:
    """transformers would fill it with random numbers. Of many, the first eight are listed."""
    folder = tmp_path / "clip"
    shutil.copytree(checkpoints["clip"], folder)
    weights = load_file(folder / "model.safetensors")
    del weights["text_projection.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CorruptData, match=r"CLIPTextModelWithProjection: no weights for text_projection\.weight\."):
        load_network(CLIPTextModelWithProjection, folder, "cpu")
    save_file({"other": torch.zeros(1)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CorruptData, match=r"no weights for ([\w.]+, ){7}[\w.]+ and \d+ more"):
        load_network(CLIPTextModelWithProjection, folder, "cpu")


def test_a_damaged_or_missing_file_is_refused(checkpoints, tmp_path: Path) -> None:
    """Truncated weights, no weights and no configuration are errors about the folder."""
    folder = tmp_path / "clip"
    shutil.copytree(checkpoints["clip"], folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    for damage in (lambda: None, path.unlink, (folder / "config.json").unlink):
        damage()
        with pytest.raises(CorruptData, match=rf"{folder}: this is not a complete checkpoint of CLIPText"):
            load_network(CLIPTextModelWithProjection, folder, "cpu")


def test_a_tokenizer_knows_its_words(checkpoints, tmp_path: Path) -> None:
    """Two words have different tokens; a folder without a vocabulary is refused instead of guessing one."""
    tokenizer = load_tokenizer(checkpoints["clip"])
    cat, dog = tokenizer(["cat", "dog"])["input_ids"]
    assert cat != dog and len(cat) == len(dog)
    with pytest.raises(CorruptData, match=r"has no tokenizer \(none of tokenizer\.json, .*Download the whole folder"):
        load_tokenizer(tmp_path)
