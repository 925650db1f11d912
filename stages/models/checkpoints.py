"""Published checkpoints, read into one network: every tensor of either side has its counterpart, or is told.

- ``transformers``: a folder (or hub name) that ``Mask2FormerForUniversalSegmentation.save_pretrained`` wrote.
- ``detectron2``: an official Mask2Former file, or one of the original PartDistillation, ``.pkl`` or ``.pth``.
- ``pdstore``: a folder that this program wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from pdstore.errors import CorruptData, InputMissing, UsageError
from schemas.training import NetworkSettings
from stages.models import official
from stages.models.architecture import config
from stages.models.network import PartNetwork
from stages.models.network_files import CONFIG_NAME, WEIGHTS_NAME, load_weights
from stages.models.pickles import read_tensors
from stages.models.sources import is_hub_name, local_checkpoint

__all__ = ["Checkpoint", "read_checkpoint"]

SHOWN = 8
"""Faults that an error message lists; ``pd weights check`` lists all."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint in this program's names.

    Attributes:
        source: where it was read.
        kind: ``transformers``, ``detectron2`` or ``pdstore``.
        settings: the network that it is taken for.
        num_classes: classes of a mask. num_objects: object classes of a class-specific head, 0 for a plain one.
        faults: what does not fit: settings, tensors that are missing, left over, or of another shape.
        labels: names of the classes, where the format has them.
    """

    source: str
    kind: str
    settings: NetworkSettings
    num_classes: int
    num_objects: int
    faults: tuple[str, ...]
    tensors: Mapping[str, Tensor] = field(repr=False)
    labels: tuple[str, ...] = ()

    def network(self) -> PartNetwork:
        """The network with these weights, in evaluation mode.

        Raises:
            UsageError: the checkpoint does not fit, with its faults.
        """
        if self.faults:
            more = f"\n  … and {len(self.faults) - SHOWN} more" if len(self.faults) > SHOWN else ""
            found = f"{len(self.faults)} that do not fit:\n  " + "\n  ".join(self.faults[:SHOWN]) + more + "\n"
            fix = "Name the network that the file is of, or none; see it all with: pd weights check FILE"
            raise UsageError(f"expected weights with a counterpart each, found {found}", self.source, fix)
        network = PartNetwork(self.settings, self.num_classes, self.num_objects)
        network.load_state_dict(dict(self.tensors))
        return network.eval()


def read_checkpoint(text: str, network: NetworkSettings | None = None, num_parts: int = 0) -> Checkpoint:
    """A checkpoint and how it fits.

    Args:
        text: a file, a folder or a hub name.
        network: what it must be; None takes what its shapes or its configuration say.
        num_parts: parts of an object class in a class-specific head; 0 is a plain head, or as ``config.json`` says.

    Raises:
        InputMissing: nothing is there, or the hub cannot be reached.
        CorruptData: the file is damaged, or a pickle that asks for more than arrays.
        UsageError: the format is not known, or the head does not divide into ``num_parts``.
    """
    path = Path(text)
    if path.is_dir() or (not path.exists() and is_hub_name(text)):
        return _read_folder(local_checkpoint(text), text, network, num_parts)
    if path.suffix == ".safetensors" and path.is_file():
        fix = f"Give the folder, with its {CONFIG_NAME}: {path.parent}"
        raise UsageError(
            "expected the folder of a network, of transformers or of this program, found a file in it", text, fix
        )
    tensors = read_tensors(path)
    if not official.is_official(tensors):
        found = f"names such as {', '.join(sorted(tensors)[:3])}"
        fix = "A transformers checkpoint is given by its folder"
        raise UsageError(f"expected the names of an official Mask2Former (sem_seg_head.…), found {found}", text, fix)
    return _read_official(official.ours(tensors), text, network, num_parts)


def _read_folder(folder: Path, text: str, network: NetworkSettings | None, num_parts: int) -> Checkpoint:
    path = folder / CONFIG_NAME
    if not path.is_file():
        fix = "Give the folder that save_pretrained or pd weights convert wrote"
        raise InputMissing(f"expected {CONFIG_NAME} beside {WEIGHTS_NAME}, found none", text, fix)
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise CorruptData(f"expected JSON, found {error!s}", str(path), "Get the folder again") from None
    if "network" in values:
        return _read_own(folder, values, text, network, num_parts)
    if values.get("model_type") == "mask2former":
        return _read_transformers(folder, text, network, num_parts)
    found = f"model_type {values.get('model_type')!r}"
    raise UsageError(
        f"expected a Mask2Former, found {found}", text, "Give the folder of a Mask2FormerForUniversalSegmentation"
    )


def _read_own(
    folder: Path, values: Mapping[str, Any], text: str, network: NetworkSettings | None, num_parts: int
) -> Checkpoint:
    settings = NetworkSettings.parse(values["network"], str(folder / CONFIG_NAME))
    num_classes, num_objects = int(values["num_classes"]), int(values["num_objects"])
    faults = _setting_faults(settings, network, num_parts, num_classes if num_objects else 0)
    with torch.device("meta"):
        own = PartNetwork(settings, num_classes, num_objects).state_dict()
    tensors = load_weights(folder)
    faults += _name_faults({name: tuple(value.shape) for name, value in own.items()}, tensors)
    return Checkpoint(text, "pdstore", network or settings, num_classes, num_objects, tuple(faults), tensors)


def _read_official(
    tensors: Mapping[str, Tensor], text: str, network: NetworkSettings | None, num_parts: int
) -> Checkpoint:
    try:
        looks = official.inferred(tensors)
    except KeyError as error:
        # Without it the size of the network is not known: what else is missing cannot be said.
        expected = f"a Mask2Former with a Swin, and in it {error.args[0]}"
        raise UsageError(f"expected {expected}, found none", text, "Give another file") from None
    rows = tensors["sem_seg_head.predictor.class_embed.weight"].shape[0] - 1
    if num_parts and rows % num_parts:
        fix = "Set num_parts to that of the training (8 in the paper), or to 0 for a plain head"
        raise UsageError(f"expected a head of objects x {num_parts} parts + 1 rows, found {rows + 1} rows", text, fix)
    num_classes, num_objects = (num_parts, rows // num_parts) if num_parts else (rows, 0)
    settings = network or looks.model_copy(update={"normalize_queries": num_parts > 0})
    faults = [f"setting {text}" for text in settings.misfits(looks)]
    with torch.device("meta"):
        empty = PartNetwork(settings, num_classes, num_objects)
    try:
        places = official.places(empty)
    except KeyError as error:
        faults.append(f"missing: {error.args[0]}, which no official network has")
        return Checkpoint(text, "detectron2", settings, num_classes, num_objects, tuple(faults), {})
    names = _name_faults(official.shapes(empty, places), tensors)
    found = {}
    if not names:
        shapes = {name: value.shape for name, value in empty.state_dict().items()}
        found = {name: place.of(tensors).reshape(shapes[name]).float() for name, place in places.items()}
    return Checkpoint(text, "detectron2", settings, num_classes, num_objects, tuple(faults + names), found)


def _read_transformers(folder: Path, text: str, network: NetworkSettings | None, num_parts: int) -> Checkpoint:
    if not list(folder.glob("*.safetensors")):
        fix = "Load it where you trust it, and write it with save_pretrained"
        raise InputMissing("expected weights as safetensors, found none", text, fix)
    found = Mask2FormerConfig.from_pretrained(folder)
    settings = _from_config(found, text)
    model, told = Mask2FormerForUniversalSegmentation.from_pretrained(
        folder, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True, dtype=torch.float32
    )
    faults = _setting_faults(settings, network, num_parts, 0)
    faults += [f"missing: {name}" for name in sorted(told["missing_keys"]) if not _is_unused(name)]
    faults += [f"left over: {name}" for name in sorted(told["unexpected_keys"]) if not _is_unused(name)]
    faults += [f"shape: {name}" for name in sorted(str(entry) for entry in told["mismatched_keys"])]
    tensors = {name: value for name, value in model.state_dict().items() if not _is_unused(name)}
    labels = [str(found.id2label[number]) for number in range(found.num_labels)]
    is_named = any(label != f"LABEL_{number}" for number, label in enumerate(labels))
    return Checkpoint(
        text,
        "transformers",
        network or settings,
        found.num_labels,
        0,
        tuple(faults),
        tensors,
        tuple(labels) if is_named else (),
    )


def _is_unused(name: str) -> bool:
    """The norm of the Swin's last stage, which a segmenter does not read; and the weights of the loss."""
    return name.startswith("criterion.") or ".swin.layernorm." in name or name.endswith("relative_position_index")


def _from_config(found: Mask2FormerConfig, text: str) -> NetworkSettings:
    backbone = found.backbone_config
    if backbone.model_type != "swin":
        raise UsageError(
            f"expected a Mask2Former with a Swin, found {backbone.model_type}", text, "Give another checkpoint"
        )
    settings = NetworkSettings.parse(
        {
            "backbone": "swin",
            "embedding_size": backbone.embed_dim,
            "depths": tuple(backbone.depths),
            "swin_heads": tuple(backbone.num_heads),
            "window": backbone.window_size,
            "drop_path": backbone.drop_path_rate,
            "pixel_dim": found.feature_size,
            "mask_dim": found.mask_feature_size,
            "hidden_dim": found.hidden_dim,
            "num_heads": found.num_attention_heads,
            "feedforward_dim": found.dim_feedforward,
            "encoder_feedforward_dim": found.encoder_feedforward_dim,
            "encoder_layers": found.encoder_layers,
            "decoder_layers": found.decoder_layers - 1,
            "num_queries": found.num_queries,
        },
        text,
    )
    ours = config(settings, found.num_labels)
    wrong = [f"{key} {getattr(found, key)!r}" for key in _FIXED if getattr(found, key) != getattr(ours, key)]
    wrong += [
        f"backbone {key} {getattr(backbone, key)!r}"
        for key in _FIXED_SWIN
        if getattr(backbone, key) != getattr(ours.backbone_config, key)
    ]
    if wrong:
        raise UsageError(
            f"this Mask2Former is not built as the published ones are: {', '.join(wrong)}",
            text,
            "Give another checkpoint",
        )
    return settings


_FIXED = ("pre_norm", "enforce_input_projection", "common_stride", "activation_function")
_FIXED_SWIN = ("patch_size", "mlp_ratio", "qkv_bias", "use_absolute_embeddings", "hidden_act", "layer_norm_eps")


def _setting_faults(
    settings: NetworkSettings, network: NetworkSettings | None, num_parts: int, own_parts: int
) -> list[str]:
    faults = [f"setting {text}" for text in network.misfits(settings)] if network else []
    if num_parts and num_parts != own_parts:
        faults.append(f"setting num_parts {num_parts}, not {own_parts}")
    return faults


def _name_faults(expected: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> list[str]:
    """What is missing, left over, or of another shape."""
    faults = [f"missing: {name}" for name in sorted(expected.keys() - tensors.keys())]
    faults += [f"left over: {name}" for name in sorted(tensors.keys() - expected.keys())]
    for name in sorted(expected.keys() & tensors.keys()):
        if tuple(tensors[name].shape) != expected[name]:
            faults.append(f"shape: {name} {expected[name]} expected, {tuple(tensors[name].shape)} found")
    return faults
