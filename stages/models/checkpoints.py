"""Reads published checkpoints into a network: tensors without a counterpart, on either side, are reported.

- ``transformers``: a folder (or hub name) that ``Mask2FormerForUniversalSegmentation.save_pretrained`` wrote.
- ``detectron2``: an official Mask2Former file, or a file of the original PartDistillation, ``.pkl``, ``.pth`` or
  ``.safetensors``.
- ``pdstore``: a folder that this program wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from pdstore.errors import CorruptData, InputMissing, UsageError
from schemas.training import NetworkSettings
from stages.models import official
from stages.models.architecture import config
from stages.models.exported import MEANING, read_exported
from stages.models.network import PartNetwork
from stages.models.network_files import CONFIG_NAME, WEIGHTS_NAME, load_weights
from stages.models.not_weights import refuse_not_weights
from stages.models.pickles import read_tensors
from stages.models.sources import is_hub_name, local_checkpoint

__all__ = ["Checkpoint", "read_checkpoint"]

SHOWN = 8
"""How many faults an error message lists; ``pd weights check`` lists them all."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint under the names that this program uses.

    Attributes:
        source: the file, folder or hub name that was read.
        kind: ``transformers``, ``detectron2`` or ``pdstore``.
        settings: the network that the checkpoint is read into.
        num_classes: number of mask classes.
        num_objects: number of object classes of a class-specific head; 0 for a plain head.
        faults: what does not fit: settings that differ, and tensors that are missing, left over, or of another shape.
        tensors: name -> tensor.
        labels: names of the classes, if the format has them.
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
            UsageError: if the checkpoint does not fit; the message lists the faults.
        """
        if self.faults:
            more = f"\n  … and {len(self.faults) - SHOWN} more" if len(self.faults) > SHOWN else ""
            listed = "\n  ".join(self.faults[:SHOWN]) + more + "\n"
            problem = f"the checkpoint does not fit the network ({len(self.faults)} faults):\n  {listed}"
            fix = "Name the network that the file was made for, or none; to list all faults: pd weights check FILE"
            raise UsageError(problem, self.source, fix)
        network = PartNetwork(self.settings, self.num_classes, self.num_objects)
        network.load_state_dict(dict(self.tensors))
        return network.eval()


def read_checkpoint(text: str, network: NetworkSettings | None = None, num_parts: int = 0) -> Checkpoint:
    """A checkpoint, and how well it fits.

    Args:
        text: a file, a folder or a hub name.
        network: the network that it must fit; None infers one from the shapes or the configuration.
        num_parts: parts per object class in a class-specific head; 0 is a plain head, or what ``config.json`` says.

    Raises:
        InputMissing: if there is no such file or folder, or the hub cannot be reached.
        CorruptData: if the file is damaged, or is a pickle that asks for more than arrays.
        UsageError: if the format is not known, or the head does not divide into ``num_parts``.
    """
    path = Path(text)
    if path.is_dir() or (not path.exists() and is_hub_name(text)):
        return _read_folder(local_checkpoint(text), text, network, num_parts)
    tensors = official.unwrapped(_read_safetensors(path) if path.suffix == ".safetensors" else read_tensors(path))
    if not official.is_official(tensors):
        found = f"names such as {', '.join(sorted(tensors)[:3])}"
        fix = f"If it is not a network of detectron2, give the folder, with its {CONFIG_NAME}: {path.parent}"
        raise UsageError(f"expected the names of an official Mask2Former (sem_seg_head.…), found {found}", text, fix)
    return _read_official(official.ours(tensors), text, network, num_parts)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputMissing("there is no such file", str(path), "Put the file there, or give its path")
    refuse_not_weights(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CorruptData(f"the file is not valid safetensors: {error!s}", str(path), "Download it again") from None


def _read_folder(folder: Path, text: str, network: NetworkSettings | None, num_parts: int) -> Checkpoint:
    path = folder / CONFIG_NAME
    if not path.is_file():
        fix = "Give the folder that save_pretrained or pd weights convert wrote"
        raise InputMissing(f"the folder has no {CONFIG_NAME} next to {WEIGHTS_NAME}", text, fix)
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        problem = f"the file is not valid JSON: {error!s}"
        raise CorruptData(problem, str(path), "Download or copy the folder again") from None
    if "network" in values:
        return _read_own(folder, values, text, network, num_parts)
    if MEANING in values:
        return _read_exported(folder, text, network, num_parts)
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
        empty = PartNetwork(settings, num_classes, num_objects).state_dict()
    tensors = load_weights(folder)
    faults += _name_faults({name: tuple(value.shape) for name, value in empty.items()}, tensors)
    return Checkpoint(text, "pdstore", network or settings, num_classes, num_objects, tuple(faults), tensors)


def _read_exported(folder: Path, text: str, network: NetworkSettings | None, num_parts: int) -> Checkpoint:
    model = read_exported(folder)
    own = model.network
    faults = _setting_faults(own.settings, network, num_parts, own.num_classes if own.num_objects else 0)
    return Checkpoint(
        text,
        "transformers",
        network or own.settings,
        own.num_classes,
        own.num_objects,
        tuple(faults),
        own.state_dict(),
        tuple(model.labels),
    )


def _read_official(
    tensors: Mapping[str, Tensor], text: str, network: NetworkSettings | None, num_parts: int
) -> Checkpoint:
    try:
        inferred = official.inferred(tensors)
    except KeyError as error:
        # Without this tensor the size of the network is unknown, so the other missing tensors cannot be listed.
        problem = f"the file has no tensor {error.args[0]}, which every Mask2Former with a Swin has"
        raise UsageError(problem, text, "Give another file") from None
    rows = tensors["sem_seg_head.predictor.class_embed.weight"].shape[0] - 1
    if num_parts and rows % num_parts:
        fix = "Set num_parts to the number used in training (8 in the paper), or to 0 for a plain head"
        raise UsageError(f"expected a head of objects x {num_parts} parts + 1 rows, found {rows + 1} rows", text, fix)
    num_classes, num_objects = (num_parts, rows // num_parts) if num_parts else (rows, 0)
    settings = network or inferred.model_copy(update={"normalize_queries": num_parts > 0})
    faults = [f"setting {misfit}" for misfit in settings.misfits(inferred)]
    with torch.device("meta"):
        empty = PartNetwork(settings, num_classes, num_objects)
    try:
        places = official.places(empty)
    except KeyError as error:
        faults.append(f"missing: {error.args[0]}, which no official network has")
        return Checkpoint(text, "detectron2", settings, num_classes, num_objects, tuple(faults), {})
    name_faults = _name_faults(official.shapes(empty, places), tensors)
    renamed = {}
    if not name_faults:
        shapes = {name: value.shape for name, value in empty.state_dict().items()}
        renamed = {name: place.of(tensors).reshape(shapes[name]).float() for name, place in places.items()}
    return Checkpoint(text, "detectron2", settings, num_classes, num_objects, tuple(faults + name_faults), renamed)


def _read_transformers(folder: Path, text: str, network: NetworkSettings | None, num_parts: int) -> Checkpoint:
    if not list(folder.glob("*.safetensors")):
        fix = "Load the weights where you trust them, and write them again with save_pretrained"
        raise InputMissing("the folder has no weights in safetensors format", text, fix)
    # Any: transformers declares most values of a configuration as optional.
    values: Any = Mask2FormerConfig.from_pretrained(folder)
    settings = _from_config(values, text)
    # Any: the declared type is that of a call without output_loading_info.
    loaded: Any = Mask2FormerForUniversalSegmentation.from_pretrained(
        folder, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True, dtype=torch.float32
    )
    model, report = loaded
    faults = _setting_faults(settings, network, num_parts, 0)
    faults += [f"missing: {name}" for name in sorted(report["missing_keys"]) if not _is_unused(name)]
    faults += [f"left over: {name}" for name in sorted(report["unexpected_keys"]) if not _is_unused(name)]
    faults += [f"shape: {name}" for name in sorted(str(entry) for entry in report["mismatched_keys"])]
    tensors = {name: value for name, value in model.state_dict().items() if not _is_unused(name)}
    labels = [str(values.id2label[number]) for number in range(values.num_labels)]
    is_named = any(label != f"LABEL_{number}" for number, label in enumerate(labels))
    return Checkpoint(
        text,
        "transformers",
        network or settings,
        values.num_labels,
        0,
        tuple(faults),
        tensors,
        tuple(labels) if is_named else (),
    )


def _is_unused(name: str) -> bool:
    """True for tensors that a segmenter does not use: the norm of the last Swin stage, and weights of the loss."""
    return name.startswith("criterion.") or ".swin.layernorm." in name or name.endswith("relative_position_index")


def _from_config(values: Any, text: str) -> NetworkSettings:
    backbone = values.backbone_config
    if backbone.model_type != "swin":
        problem = f"expected a Mask2Former with a Swin backbone, found {backbone.model_type}"
        raise UsageError(problem, text, "Give another checkpoint")
    settings = NetworkSettings.parse(
        {
            "backbone": "swin",
            "embedding_size": backbone.embed_dim,
            "depths": tuple(backbone.depths),
            "swin_heads": tuple(backbone.num_heads),
            "window": backbone.window_size,
            "drop_path": backbone.drop_path_rate,
            "pixel_dim": values.feature_size,
            "mask_dim": values.mask_feature_size,
            "hidden_dim": values.hidden_dim,
            "num_heads": values.num_attention_heads,
            "feedforward_dim": values.dim_feedforward,
            "encoder_feedforward_dim": values.encoder_feedforward_dim,
            "encoder_layers": values.encoder_layers,
            "decoder_layers": values.decoder_layers - 1,
            "num_queries": values.num_queries,
        },
        text,
    )
    ours = config(settings, values.num_labels)
    wrong = [f"{key} {getattr(values, key)!r}" for key in _FIXED if getattr(values, key) != getattr(ours, key)]
    wrong += [
        f"backbone {key} {getattr(backbone, key)!r}"
        for key in _FIXED_SWIN
        if getattr(backbone, key) != getattr(ours.backbone_config, key)
    ]
    if wrong:
        problem = f"this Mask2Former is not built like the published ones: {', '.join(wrong)}"
        raise UsageError(problem, text, "Give another checkpoint")
    return settings


_FIXED = ("pre_norm", "enforce_input_projection", "common_stride", "activation_function")
_FIXED_SWIN = ("patch_size", "mlp_ratio", "qkv_bias", "use_absolute_embeddings", "hidden_act", "layer_norm_eps")


def _setting_faults(
    settings: NetworkSettings, network: NetworkSettings | None, num_parts: int, actual_parts: int
) -> list[str]:
    faults = [f"setting {misfit}" for misfit in network.misfits(settings)] if network else []
    if num_parts and num_parts != actual_parts:
        faults.append(f"setting num_parts {num_parts}, not {actual_parts}")
    return faults


def _name_faults(expected: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> list[str]:
    """The tensors that are missing, left over, or of another shape."""
    faults = [f"missing: {name}" for name in sorted(expected.keys() - tensors.keys())]
    faults += [f"left over: {name}" for name in sorted(tensors.keys() - expected.keys())]
    for name in sorted(expected.keys() & tensors.keys()):
        if tuple(tensors[name].shape) != expected[name]:
            faults.append(f"shape: {name} {expected[name]} expected, {tuple(tensors[name].shape)} found")
    return faults
