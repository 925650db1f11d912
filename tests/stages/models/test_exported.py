"""Part models as folders of transformers, compared with the class that a user calls."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForUniversalSegmentation,
    Mask2FormerForUniversalSegmentation,
)

from pdstore.errors import CorruptData, UsageError
from schemas.training import NetworkSettings
from stages.models.checkpoints import read_checkpoint
from stages.models.exported import exported_files, is_stock, read_exported
from stages.models.network import PartNetwork, build
from stages.models.network_files import write_files
from stages.models.part_model import PartModel
from stages.source.listing import ImageClass

SWIN = NetworkSettings(preset="tiny", decoder_layers=1, num_queries=4)
RESNET = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)
PETS = [ImageClass(0, "n02123045", "cat"), ImageClass(1, "n02084071", "dog"), ImageClass(2, "n02374451", "horse")]
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def pictures() -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (2, 3, 96, 64), dtype=np.uint8))


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels.float() / 255 - MEAN) / STD


def model(settings: NetworkSettings, num_classes: int, objects: list[ImageClass] | None = None) -> PartModel:
    network = build(settings, num_classes, len(objects or []), seed=3).eval()
    with torch.no_grad():
        for value in network.class_predictor.parameters():
            value.normal_(generator=torch.Generator().manual_seed(len(value)))
    return PartModel(network, "here", objects or [], settings={"long_side": 96})


def written(one: PartModel, folder: Path) -> Path:
    write_files(exported_files(one), folder)
    return folder


def close(mine: torch.Tensor, theirs: torch.Tensor) -> bool:
    return mine.shape == theirs.shape and (mine - theirs).abs().max().item() < 1e-4


@pytest.mark.parametrize("settings", [SWIN, RESNET], ids=["swin", "resnet"])
def test_a_proposal_model_is_read_by_transformers_own_class(settings: NetworkSettings, tmp_path: Path) -> None:
    """Class and mask logits agree within 1e-4, no weight is missing or left over, and the label is "part"."""
    one = model(settings, 1)
    folder = written(one, tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "preprocessor_config.json"}
    theirs, report = Mask2FormerForUniversalSegmentation.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    with torch.no_grad():
        mine, found = one.network(pictures()), theirs(pixel_values=normalised(pictures()))
    assert close(mine.class_logits, found.class_queries_logits)
    assert close(mine.mask_logits, found.masks_queries_logits)
    assert theirs.config.id2label == {0: "part"} and theirs.config.label2id == {"part": 0}


@pytest.mark.parametrize(
    "changes",
    [{"normalize_queries": True}, {"detail_dim": 8, "input_scale": 2.0}],
    ids=["unit-length", "detail-and-scale"],
)
def test_what_transformers_lacks_lies_beside_the_weights(
    changes: dict[str, float], tmp_path: Path, code_of_models: None
) -> None:
    """The folder's own class gives equal logits; the settings change them, so that the usual class would not."""
    one = model(RESNET.model_copy(update=changes), 1)
    folder = written(one, tmp_path / "out")
    assert {"portable.py", "detail.py"} < {path.name for path in folder.iterdir()}
    theirs = AutoModelForUniversalSegmentation.from_pretrained(folder, trust_remote_code=True)
    assert type(theirs).__name__ == "PartMask2Former" and "stages" not in (folder / "portable.py").read_text()
    with torch.no_grad():
        mine, found = one.network(pictures()), theirs(pixel_values=normalised(pictures()))
    assert close(mine.class_logits, found.class_queries_logits)
    assert close(mine.mask_logits, found.masks_queries_logits)
    plain = PartNetwork(RESNET, 1)
    plain.load_state_dict(one.network.state_dict(), strict=False)
    with torch.no_grad():
        assert not close(mine.mask_logits, plain.eval()(pictures()).mask_logits)


def test_the_unrolled_head_has_the_logits_of_each_class(tmp_path: Path) -> None:
    """Columns c * K to c * K + K and the last one are what this program computes for class c; their names say so."""
    one = model(RESNET, 4, PETS)
    theirs = Mask2FormerForUniversalSegmentation.from_pretrained(written(one, tmp_path / "out"))
    with torch.no_grad():
        every = theirs(pixel_values=normalised(pictures())).class_queries_logits
        for slot, pet in enumerate(PETS):
            mine = one.network(pictures(), torch.tensor([slot, slot]))
            columns = [n for n in range(12) if theirs.config.id2label[n].startswith(f"{pet.name}: part ")]
            assert columns == list(range(4 * slot, 4 * slot + 4))
            assert close(mine.class_logits, every[..., [*columns, 12]])


def test_one_class_has_its_own_probabilities(tmp_path: Path) -> None:
    """Of a folder with a single object class, a softmax over all labels is what this program computes."""
    one = model(RESNET, 4, PETS)
    folder = written(one.of_classes(["Dog"]), tmp_path / "out")
    theirs = Mask2FormerForUniversalSegmentation.from_pretrained(folder)
    with torch.no_grad():
        mine = one.network(pictures(), torch.tensor([1, 1])).class_logits.softmax(-1)
        found = theirs(pixel_values=normalised(pictures())).class_queries_logits.softmax(-1)
    assert close(mine, found) and theirs.config.id2label[3] == "dog: part 3"


def test_transformers_prepares_pictures_as_this_program_does(tmp_path: Path) -> None:
    """The processor scales to the long side, rounds to multiples of 32, and normalises."""
    processor = AutoImageProcessor.from_pretrained(written(model(RESNET, 1), tmp_path / "out"))
    pixels = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    ready = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
    assert torch.allclose(ready[0], normalised(torch.from_numpy(pixels).permute(2, 0, 1)), atol=1e-5)
    assert processor(Image.new("RGB", (400, 200)), return_tensors="pt")["pixel_values"].shape == (1, 3, 64, 96)


@pytest.mark.parametrize(
    "one",
    [
        model(SWIN, 2, PETS[:2]),
        model(RESNET.model_copy(update={"normalize_queries": True, "detail_dim": 8}), 1),
        PartModel(build(RESNET, 2).eval(), "here", parts=[("cat", "head"), ("", "tail")], trained_px=64),
        PartModel(build(RESNET, 2).eval(), "here", labels=["cat", "dog"]),
    ],
    ids=["classes", "portable", "named", "objects"],
)
def test_a_folder_is_read_back(one: PartModel, tmp_path: Path) -> None:
    """Weights, settings, classes and names are those that were exported, also as a checkpoint of a weights node."""
    folder = written(one, tmp_path / "out")
    again = read_exported(folder)
    assert (again.kind, again.object_names, again.label_names()) == (one.kind, one.object_names, one.label_names())
    assert (again.parts, again.settings, again.trained_px) == (list(one.parts), one.settings, one.trained_px)
    assert again.network.settings == one.network.settings and again.network.num_objects == one.network.num_objects
    weights = one.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.network.state_dict().items())
    checkpoint = read_checkpoint(str(folder))
    assert not checkpoint.faults and checkpoint.tensors.keys() == weights.keys()
    assert checkpoint.settings == one.network.settings and (folder / "parts.json").exists() == bool(one.parts)


def test_equal_models_give_equal_bytes() -> None:
    """Nothing of the folder depends on the time or on the order of things."""
    assert exported_files(model(SWIN, 1)) == exported_files(model(SWIN, 1))


def test_a_folder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """Another folder, and weights of another network, are errors that name the folder."""
    folder = written(model(RESNET, 1), tmp_path / "out")
    other = written(model(RESNET.model_copy(update={"num_queries": 6}), 1), tmp_path / "other")
    shutil.copy(other / "model.safetensors", folder)
    with pytest.raises(CorruptData, match="the weights are not those of this network"):
        read_exported(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "mask2former"}))
    with pytest.raises(UsageError, match="expected the key part_distillation, found none"):
        read_exported(folder)
    assert is_stock(RESNET) and not is_stock(RESNET.model_copy(update={"input_scale": 2.0}))
