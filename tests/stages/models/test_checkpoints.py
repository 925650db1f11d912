import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Mask2FormerForUniversalSegmentation

from pdstore.errors import CorruptData, InputMissing, UsageError
from schemas.training import NetworkSettings
from stages.models.architecture import config
from stages.models.checkpoints import read_checkpoint
from stages.models.network import build
from stages.models.network_files import save_network
from stages.models.pickles import read_tensors

DATA = Path(__file__).parents[2] / "data"
MASK2FORMER, DISTILLED = DATA / "mask2former_tiny.pkl", DATA / "part_distillation_tiny.pth"
TINY = NetworkSettings(preset="tiny")
NORMALISED = NetworkSettings(preset="tiny", normalize_queries=True)
HEAD = "sem_seg_head.predictor.class_embed.weight"


def close(mine: Tensor, theirs: np.ndarray) -> bool:
    return mine.shape == theirs.shape and np.abs(mine.detach().numpy() - theirs).max() < 1e-4


@pytest.mark.parametrize("settings", [None, TINY], ids=["inferred", "preset"])
def test_an_official_mask2former_gives_the_official_outputs(settings: NetworkSettings | None) -> None:
    """Feature maps, class and mask logits, query features and the first prediction agree within 1e-4."""
    network = read_checkpoint(str(MASK2FORMER), settings).network()
    golden = np.load(DATA / "mask2former_tiny.npz")
    image = torch.from_numpy(golden["image"])
    with torch.no_grad():
        found, maps = network(image), network.feature_maps(image)
    for level, features in enumerate(maps, 2):
        assert close(features, golden[f"res{level}"])
    assert close(found.class_logits, golden["pred_logits"])
    assert close(found.mask_logits, golden["pred_masks"])
    assert close(found.features, golden["decoder_output"])
    assert close(found.earlier[0].class_logits, golden["aux0_logits"])
    assert close(found.earlier[0].mask_logits, golden["aux0_masks"])


@pytest.mark.parametrize("settings", [None, NORMALISED], ids=["inferred", "preset"])
def test_an_original_final_model_gives_the_original_slices(settings: NetworkSettings | None) -> None:
    """The class logits of an image are those of its object class; masks and features are those of the original."""
    checkpoint = read_checkpoint(str(DISTILLED), settings, num_parts=8)
    golden = np.load(DATA / "part_distillation_tiny.npz")
    network = checkpoint.network()
    with torch.no_grad():
        found = network(torch.from_numpy(golden["image"]), torch.from_numpy(golden["object_class"]))
    assert (checkpoint.num_objects, checkpoint.num_classes) == (5, 8)
    assert close(found.class_logits, golden["pred_logits"])
    assert close(found.mask_logits, golden["pred_masks"])
    assert close(found.features, golden["decoder_output"])


def test_an_original_proposal_model_has_one_class(tmp_path: Path) -> None:
    """Its head is plain and has two rows: part and "no object"."""
    tensors = read_tensors(DISTILLED)
    model = {name: value[:2] if "class_embed" in name else value for name, value in tensors.items()}
    torch.save({"model": model, "iteration": 1}, tmp_path / "proposal.pth")
    checkpoint = read_checkpoint(str(tmp_path / "proposal.pth"), TINY)
    assert (checkpoint.num_classes, checkpoint.num_objects) == (1, 0)
    assert checkpoint.network().class_predictor.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda m: m.pop("backbone.norm0.bias"), "missing: backbone.norm0.bias"),
        (lambda m: m.update({"backbone.norm4.bias": np.zeros(3)}), "left over: backbone.norm4.bias"),
        (
            lambda m: m.update({"backbone.norm0.bias": np.zeros(3)}),
            "shape: backbone.norm0.bias (16,) expected, (3,) found",
        ),
        (
            lambda m: m.update({HEAD: np.zeros((8, 31))}),
            f"shape: {HEAD} (8, 32) expected, (8, 31) found",
        ),
    ],
)
def test_a_tensor_without_counterpart_is_reported(
    change: Callable[[dict[str, np.ndarray]], object], fault: str, tmp_path: Path
) -> None:
    """Tensors that are missing, left over or of another shape are listed by their names, and nothing is loaded."""
    content = {"model": {name: value.numpy() for name, value in read_tensors(MASK2FORMER).items()}}
    change(content["model"])
    (tmp_path / "changed.pkl").write_bytes(pickle.dumps(content))
    checkpoint = read_checkpoint(str(tmp_path / "changed.pkl"))
    assert checkpoint.faults == (fault,)
    with pytest.raises(UsageError, match=re.escape(fault)):
        checkpoint.network()


def test_names_of_the_first_official_files_are_known(tmp_path: Path) -> None:
    """The learnt queries are called "static" there."""
    model = {name.replace("query_feat", "static_query"): value for name, value in read_tensors(MASK2FORMER).items()}
    torch.save({"model": model}, tmp_path / "old.pth")
    assert read_checkpoint(str(tmp_path / "old.pth")).faults == ()


def test_a_network_that_differs_is_reported_by_its_settings() -> None:
    """Settings that differ are listed before the tensors that differ because of them."""
    faults = read_checkpoint(str(MASK2FORMER), NetworkSettings(preset="tiny", num_queries=20)).faults
    assert faults[0] == "setting num_queries 20, not 10"
    assert "shape: sem_seg_head.predictor.query_feat.weight (20, 32) expected, (10, 32) found" in faults
    faults = read_checkpoint(str(MASK2FORMER), NetworkSettings()).faults
    assert "setting backbone resnet, not swin" in faults
    with pytest.raises(UsageError, match=r"a head of objects x 3 parts \+ 1 rows, found 41 rows"):
        read_checkpoint(str(DISTILLED), None, num_parts=3)


@pytest.fixture
def transformers_folder(tmp_path: Path) -> Path:
    """A tiny Mask2Former with random weights, as transformers saves it."""
    torch.manual_seed(0)
    model = Mask2FormerForUniversalSegmentation(config(TINY, 3))
    model.config.id2label = {0: "cat", 1: "dog", 2: "bird"}
    model.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_transformers_folder_gives_what_transformers_gives(transformers_folder: Path) -> None:
    """Class and mask logits equal those of the model that wrote the folder, and its labels are read."""
    checkpoint = read_checkpoint(str(transformers_folder), TINY)
    network = checkpoint.network()
    model = Mask2FormerForUniversalSegmentation.from_pretrained(transformers_folder).eval()
    pixels = torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        mine, theirs = network(pixels), model((pixels - network.mean) / network.std)
    assert torch.equal(mine.class_logits, theirs.class_queries_logits)
    assert torch.equal(mine.mask_logits, theirs.masks_queries_logits)
    assert (checkpoint.kind, checkpoint.labels) == ("transformers", ("cat", "dog", "bird"))
    assert checkpoint.settings == TINY


def test_the_names_of_files_on_the_hub_are_known(transformers_folder: Path) -> None:
    """They have other names for the Swin layers and an index that follows from the window, and lack an unused norm."""
    path = transformers_folder / "model.safetensors"
    tensors = load_file(path)
    before = read_checkpoint(str(transformers_folder))
    block = "model.pixel_level_module.encoder.encoder.layers.0.blocks.0.attention.self."
    assert block + "query.weight" in tensors
    unused = [
        name for name in tensors if name.endswith(("encoder.swin.layernorm.weight", "encoder.swin.layernorm.bias"))
    ]
    assert len(unused) == 2
    hub = {name: value for name, value in tensors.items() if name not in unused}
    hub[block + "relative_position_index"] = torch.zeros(16, 16, dtype=torch.int64)
    save_file(hub, path, {"format": "pt"})
    after = read_checkpoint(str(transformers_folder))
    assert before.faults == after.faults == ()
    assert all(torch.equal(value, after.tensors[name]) for name, value in before.tensors.items())


def test_faults_of_a_transformers_folder_are_reported(transformers_folder: Path) -> None:
    """A missing tensor is not filled with random numbers, and an unknown tensor is not ignored."""
    path = transformers_folder / "model.safetensors"
    tensors = load_file(path)
    tensors["model.transformer_module.more"] = tensors.pop("model.transformer_module.level_embed.weight")
    save_file(tensors, path, {"format": "pt"})
    assert read_checkpoint(str(transformers_folder)).faults == (
        "missing: model.transformer_module.level_embed.weight",
        "left over: model.transformer_module.more",
    )
    path.rename(transformers_folder / "pytorch_model.bin")
    with pytest.raises(InputMissing, match="no weights in safetensors format"):
        read_checkpoint(str(transformers_folder))


def test_a_variant_that_was_never_published_is_refused(transformers_folder: Path) -> None:
    """The error names what the settings of a network cannot express."""
    path = transformers_folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pre_norm": True}))
    with pytest.raises(UsageError, match=r"not built like the published ones: pre_norm True"):
        read_checkpoint(str(transformers_folder))
    path.write_text('{"model_type": "detr"}')
    with pytest.raises(UsageError, match=r"a Mask2Former, found model_type 'detr'"):
        read_checkpoint(str(transformers_folder))


def test_our_own_folder_is_read_back(tmp_path: Path) -> None:
    """The class-specific head is read too, and faults are listed if another network is expected."""
    network = build(TINY, 3, num_objects=2, seed=1)
    save_network(network, tmp_path)
    checkpoint = read_checkpoint(str(tmp_path), TINY)
    assert (checkpoint.kind, checkpoint.num_classes, checkpoint.num_objects) == ("pdstore", 3, 2)
    weights = checkpoint.network().state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert read_checkpoint(str(tmp_path), None, num_parts=8).faults == ("setting num_parts 8, not 3",)


def test_anything_but_a_checkpoint_is_refused(tmp_path: Path) -> None:
    """A missing file, foreign names, a folder without config.json and a broken one are different errors."""
    with pytest.raises(InputMissing, match="no such file"):
        read_checkpoint(str(tmp_path / "none.pkl"))
    torch.save({"model": {"fc.weight": torch.zeros(3)}}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match=r"names of an official Mask2Former.*found names such as fc.weight"):
        read_checkpoint(str(tmp_path / "other.pth"))
    with pytest.raises(InputMissing, match=r"has no config.json next to model.safetensors"):
        read_checkpoint(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CorruptData, match="config.json: the file is not valid JSON"):
        read_checkpoint(str(tmp_path))


PREFIXES = ["module.", "model.", "module.model.", "_orig_mod.", "ema_model.module."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_names_behind_a_wrapper_are_found(prefix: str, tmp_path: Path) -> None:
    """DDP, Lightning, torch.compile and averages put words before every name."""
    model = {prefix + name: value for name, value in read_tensors(MASK2FORMER).items()}
    torch.save({"state_dict": {**model, "n_averaged": torch.tensor(3)}}, tmp_path / "a.pth")
    assert read_checkpoint(str(tmp_path / "a.pth")).faults == ()


@pytest.mark.parametrize("prefix", ["", "module."])
def test_official_names_in_safetensors_are_read(prefix: str, tmp_path: Path) -> None:
    """What the advice to convert a pickle leads to is read like the pickle."""
    tensors = {prefix + name: value.contiguous() for name, value in read_tensors(MASK2FORMER).items()}
    save_file(tensors, tmp_path / "a.safetensors")
    mine, theirs = (read_checkpoint(str(path)) for path in (tmp_path / "a.safetensors", MASK2FORMER))
    assert mine.faults == () and mine.settings == theirs.settings and mine.tensors.keys() == theirs.tensors.keys()
    assert all(torch.equal(mine.tensors[name], theirs.tensors[name]) for name in mine.tensors)


def test_other_safetensors_are_refused(tmp_path: Path) -> None:
    """Names of transformers lead to its folder; damaged and missing files are errors of their own."""
    path = tmp_path / "model.safetensors"
    with pytest.raises(InputMissing, match="no such file"):
        read_checkpoint(str(path))
    save_file({"model.pixel_level_module.x": torch.zeros(2)}, path)
    with pytest.raises(UsageError, match=rf"give the folder, with its config\.json: {tmp_path}"):
        read_checkpoint(str(path))
    path.write_bytes(b"\x01" * 40)
    with pytest.raises(CorruptData, match="not valid safetensors"):
        read_checkpoint(str(path))
