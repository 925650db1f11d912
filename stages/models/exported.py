"""A part model as a folder that transformers reads, and back.

The head of a class-specific model is unrolled to ``num_objects * num_parts + 1`` logits. They are exactly the logits of
this program; its probabilities are a softmax over the logits of one object class and the last one, "no object". A
network that ``Mask2FormerForUniversalSegmentation`` can compute needs that class only; beside any other lies
:mod:`stages.models.portable`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from pdstore.errors import CorruptData, UsageError
from schemas.training import NetworkSettings
from stages.models import detail, portable
from stages.models.architecture import config
from stages.models.head import SlicedHead
from stages.models.inference import STRIDE
from stages.models.network import IMAGENET_MEAN, IMAGENET_STD, PartNetwork
from stages.models.network_files import CONFIG_NAME, WEIGHTS_NAME, load_weights
from stages.models.part_model import PartModel
from stages.source.listing import ImageClass
from stages.stage import PART_NAMES

__all__ = ["MEANING", "PROCESSOR_NAME", "exported_files", "is_stock", "read_exported"]

MEANING = "part_distillation"
"""The key of ``config.json`` under which this program keeps what transformers does not know."""
PROCESSOR_NAME = "preprocessor_config.json"
_USUAL_PX = 640
"""Long side of the pictures of a network that does not say on which it was trained."""
_HEAD = "class_predictor."


def is_stock(settings: NetworkSettings) -> bool:
    """True if transformers' own class computes this network."""
    return not settings.normalize_queries and not settings.detail_dim and settings.input_scale == 1


def exported_files(model: PartModel) -> dict[str, bytes]:
    """The files of the folder: name -> content. Equal models give equal bytes.

    Memory: the weights three times.
    """
    settings, labels = model.network.settings, model.label_names()
    values = config(settings, len(labels)).to_dict()
    values |= {
        "id2label": {str(number): name for number, name in enumerate(labels)},
        "label2id": {name: number for number, name in enumerate(labels)},
        "dtype": "float32",
        MEANING: _meaning(model),
    }
    modules: tuple[ModuleType, ...] = ()
    made: Any = Mask2FormerForUniversalSegmentation
    configured: Any = Mask2FormerConfig
    if not is_stock(settings):
        modules, made, configured = (portable, detail), portable.PartMask2Former, portable.PartMask2FormerConfig
        code = {"AutoConfig": configured, "AutoModelForUniversalSegmentation": made}
        values["auto_map"] = {name: f"portable.{one.__name__}" for name, one in code.items()}
        values["model_type"] = configured.model_type
    values["architectures"] = [made.__name__]
    files = {
        WEIGHTS_NAME: save(_named_tensors(model, made(configured.from_dict(values))), metadata={"format": "pt"}),
        CONFIG_NAME: _json(values),
        PROCESSOR_NAME: _json(_processor(model)),
    }
    if model.parts:
        files[PART_NAMES] = json.dumps(model.parts).encode()
    return files | {f"{one.__name__.rpartition('.')[2]}.py": _source(one) for one in modules}


def read_exported(folder: Path) -> PartModel:
    """The part model in a folder that :func:`exported_files` describes.

    Raises:
        UsageError: ``config.json`` is not that of an export.
        InputMissing, CorruptData: the weights are not there, or not those of this network.
    """
    path = folder / CONFIG_NAME
    values = json.loads(path.read_text())
    if MEANING not in values:
        fix = "Give a folder that pd weights export wrote"
        raise UsageError(f"expected the key {MEANING}, found none", str(path), fix)
    meaning = values[MEANING]
    settings = NetworkSettings.parse(meaning["network"], str(path))
    objects = [ImageClass(slot, code, name) for slot, (code, name) in enumerate(meaning["objects"])]
    network = PartNetwork(settings, int(meaning["num_classes"]), len(objects))
    expected = network.state_dict().keys()
    tensors = _rolled(load_weights(folder), network)
    try:
        network.load_state_dict({name: value for name, value in tensors.items() if name in expected})
    except RuntimeError as error:
        problem = f"the weights are not those of this network ({' '.join(str(error).split())[:200]})"
        raise CorruptData(problem, str(folder), "Export the model again") from None
    parts = [(category, part) for category, part in meaning["parts"]]
    return PartModel(
        network.eval(), str(folder), objects, parts, meaning["labels"], meaning["settings"], meaning["trained_px"]
    )


def _meaning(model: PartModel) -> dict[str, Any]:
    return {
        "kind": model.kind,
        "network": model.network.settings.model_dump(mode="json"),
        "num_classes": model.network.num_classes,
        "objects": [[one.wnid, one.name] for one in model.objects],
        "parts": [list(pair) for pair in model.parts],
        "labels": list(model.labels),
        "settings": dict(model.settings),
        "trained_px": model.trained_px,
    }


def _named_tensors(model: PartModel, target: Any) -> dict[str, Tensor]:
    """Every tensor of ``target``, with the weights of the model."""
    tensors = model.network.state_dict()
    head = model.network.class_predictor
    if isinstance(head, SlicedHead):
        tensors = {name: value for name, value in tensors.items() if not name.startswith(_HEAD)}
        for name, last in (("weight", head.no_object.weight), ("bias", head.no_object.bias)):
            tensors[_HEAD + name] = torch.cat([getattr(head, name).flatten(0, 1), last]).detach()
    report = target.load_state_dict(tensors, strict=False)
    # What a segmenter never uses has no counterpart here, and keeps the values that transformers begins with.
    lacking = [name for name in report.missing_keys if ".swin.layernorm." not in name and "criterion." not in name]
    assert not [*lacking, *report.unexpected_keys], (lacking, report.unexpected_keys)
    return {name: value.contiguous() for name, value in sorted(target.state_dict().items())}


def _rolled(tensors: Mapping[str, Tensor], network: PartNetwork) -> dict[str, Tensor]:
    """The tensors of an export under the names of this program."""
    rolled = dict(tensors)
    if network.num_objects:
        for name in ("weight", "bias"):
            values = rolled.pop(_HEAD + name)
            shape = (network.num_objects, network.num_classes, *values.shape[1:])
            rolled[_HEAD + name] = values[:-1].reshape(shape)
            rolled[f"{_HEAD}no_object.{name}"] = values[-1:]
    return rolled


def _processor(model: PartModel) -> dict[str, Any]:
    """What transformers does to a picture before the network: the same as here, but sides are rounded up."""
    long_side = int(model.settings.get("long_side") or model.trained_px or _USUAL_PX)
    return {
        "image_processor_type": "Mask2FormerImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": long_side, "longest_edge": long_side},
        "size_divisor": STRIDE,
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [value / 255 for value in IMAGENET_MEAN],
        "image_std": [value / 255 for value in IMAGENET_STD],
        "do_reduce_labels": False,
    }


def _source(module: ModuleType) -> bytes:
    """A module as it lies beside weights, where its neighbours are those of its folder."""
    return inspect.getsource(module).replace("from stages.models.", "from .").encode()


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False).encode()
