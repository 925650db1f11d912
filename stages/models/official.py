"""Translates between our tensor names and those of the official Mask2Former (detectron2).

Source: the key names of the published checkpoints. Our names are those of transformers. Two layouts differ as well:
the official attention keeps queries, keys and values in one matrix, of which ours are the thirds, and the
class-specific head of PartDistillation is one matrix whose rows are objects x parts, then "no object".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from schemas.training import NetworkSettings
from stages.models.network import PartNetwork

__all__ = ["Place", "inferred", "is_official", "ours", "places", "shapes"]

_BACKBONE = r"model\.pixel_level_module\.encoder\."
_PIXELS = r"model\.pixel_level_module\.decoder\."
_QUERIES = r"model\.transformer_module\."
_LAYER = _QUERIES + r"decoder\.layers\.(\d+)\."
_DEFORMABLE = _PIXELS + r"encoder\.layers\.(\d+)\."
_TO_PIXELS = "sem_seg_head.pixel_decoder."
_TO_DEFORMABLE = _TO_PIXELS + r"transformer.encoder.layers.\1."
_TO_QUERIES = "sem_seg_head.predictor."
_SELF = _TO_QUERIES + r"transformer_self_attention_layers.\1."
_CROSS = _TO_QUERIES + r"transformer_cross_attention_layers.\1."
_FFN = _TO_QUERIES + r"transformer_ffn_layers.\1."

_RULES = (
    (_BACKBONE + r"swin\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.proj."),
    (_BACKBONE + r"swin\.embeddings\.norm\.", "backbone.patch_embed.norm."),
    (_BACKBONE + r"swin\.encoder\.(layers\.\d+\.downsample\.)", r"backbone.\1"),
    (_BACKBONE + r"swin\.encoder\.(layers\.\d+\.blocks\.\d+\.)layernorm_before\.", r"backbone.\1norm1."),
    (_BACKBONE + r"swin\.encoder\.(layers\.\d+\.blocks\.\d+\.)layernorm_after\.", r"backbone.\1norm2."),
    (_BACKBONE + r"swin\.encoder\.(layers\.\d+\.blocks\.\d+\.mlp\.)", r"backbone.\1"),
    (_BACKBONE + r"swin\.encoder\.(layers\.\d+\.blocks\.\d+\.)attention\.[qkv]_proj\.", r"backbone.\1attn.qkv."),
    (_BACKBONE + r"swin\.encoder\.(layers\.\d+\.blocks\.\d+\.)attention\.o_proj\.", r"backbone.\1attn.proj."),
    (
        _BACKBONE + r"swin\.encoder\.(layers\.\d+\.blocks\.\d+\.)attention\.relative_position_bias\.",
        r"backbone.\1attn.",
    ),
    (_BACKBONE + r"hidden_states_norms\.stage1\.", "backbone.norm0."),
    (_BACKBONE + r"hidden_states_norms\.stage2\.", "backbone.norm1."),
    (_BACKBONE + r"hidden_states_norms\.stage3\.", "backbone.norm2."),
    (_BACKBONE + r"hidden_states_norms\.stage4\.", "backbone.norm3."),
    (_PIXELS + r"level_embed", _TO_PIXELS + "transformer.level_embed"),
    (_PIXELS + r"input_projections\.", _TO_PIXELS + "input_proj."),
    (_PIXELS + r"mask_projection\.", _TO_PIXELS + "mask_features."),
    (_PIXELS + r"(adapter_1|layer_1)\.0\.", _TO_PIXELS + r"\1."),
    (_PIXELS + r"(adapter_1|layer_1)\.1\.", _TO_PIXELS + r"\1.norm."),
    (_DEFORMABLE + r"self_attn_layer_norm\.", _TO_DEFORMABLE + "norm1."),
    (_DEFORMABLE + r"final_layer_norm\.", _TO_DEFORMABLE + "norm2."),
    (_DEFORMABLE + r"self_attn\.", _TO_DEFORMABLE + "self_attn."),
    (_DEFORMABLE + r"fc([12])\.", _TO_DEFORMABLE + r"linear\2."),
    (_QUERIES + r"queries_embedder\.", _TO_QUERIES + "query_embed."),
    (_QUERIES + r"queries_features\.", _TO_QUERIES + "query_feat."),
    (_QUERIES + r"level_embed\.", _TO_QUERIES + "level_embed."),
    (_QUERIES + r"input_projections\.", _TO_QUERIES + "input_proj."),
    (_QUERIES + r"decoder\.layernorm\.", _TO_QUERIES + "decoder_norm."),
    (_QUERIES + r"decoder\.mask_predictor\.mask_embedder\.(\d+)\.0\.", _TO_QUERIES + r"mask_embed.layers.\1."),
    (_LAYER + r"self_attn\.[qkv]_proj\.(weight|bias)", _SELF + r"self_attn.in_proj_\2"),
    (_LAYER + r"self_attn\.out_proj\.", _SELF + "self_attn.out_proj."),
    (_LAYER + r"self_attn_layer_norm\.", _SELF + "norm."),
    (_LAYER + r"cross_attn\.", _CROSS + "multihead_attn."),
    (_LAYER + r"cross_attn_layer_norm\.", _CROSS + "norm."),
    (_LAYER + r"fc([12])\.", _FFN + r"linear\2."),
    (_LAYER + r"final_layer_norm\.", _FFN + "norm."),
    (r"class_predictor\.(?:no_object\.)?", _TO_QUERIES + "class_embed."),
)
_COMPILED = [(re.compile(pattern), target) for pattern, target in _RULES]
_WRAPPED = re.compile(r"((?:(?:module|model|network|net|_orig_mod|_forward_module|ema_model)\.)+)sem_seg_head\.")
_THIRD = re.compile(r"\.([qkv])_proj\.")
_DROPPED = re.compile(
    r"backbone\.layers\.\d+\.blocks\.\d+\.attn\.relative_position_index"  # follows from the window size
    r"|criterion\.empty_weight"  # weights of the loss, which are settings here
    r"|pixel_mean|pixel_std"
)
_OFFSETS = 3 * 4 * 2
"""How many numbers a head of deformable attention learns: levels x points x (x, y)."""
_SLICED = ("class_predictor.weight", "class_predictor.bias")
_OLD = {"sem_seg_head.predictor.static_query.weight": "sem_seg_head.predictor.query_feat.weight"}
"""Name in the first official files -> name in the later ones."""


@dataclass(frozen=True)
class Place:
    """Where one of our tensors is in an official file: rows ``start`` to ``stop`` of ``name``."""

    name: str
    start: int
    stop: int

    def of(self, tensors: Mapping[str, Tensor]) -> Tensor:
        return tensors[self.name][self.start : self.stop]


def unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without what a wrapper put before their names: ``module.`` (DDP), ``model.`` (Lightning), both, …"""
    found = next((match for match in map(_WRAPPED.match, tensors) if match), None)
    prefix = found[1] if found else ""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name != "n_averaged"}


def is_official(names: Iterable[str]) -> bool:
    """True if the names are detectron2's."""
    return any(name.startswith("sem_seg_head.") for name in names)


def places(network: PartNetwork) -> dict[str, Place]:
    """Our name -> place in the official file, for every tensor of the network's state.

    Raises:
        KeyError: if the network has a tensor that no official network has (a ResNet, a detail branch).
    """
    by_name = {}
    for name, value in network.state_dict().items():
        start, rows = 0, value.shape[0] if value.ndim else 1
        third = _THIRD.search(name)
        if third:
            start = "qkv".index(third[1]) * rows
        elif network.num_objects and name.startswith("class_predictor."):
            slices = network.num_objects * network.num_classes
            start, rows = (slices, 1) if "no_object" in name else (0, slices)
        by_name[name] = Place(_official(name), start, start + rows)
    return by_name


def shapes(network: PartNetwork, by_name: Mapping[str, Place]) -> dict[str, tuple[int, ...]]:
    """Official name -> shape of the tensor in a file of this network; ``by_name`` is from :func:`places`."""
    result: dict[str, tuple[int, ...]] = {}
    for name, value in network.state_dict().items():
        place = by_name[name]
        rest = tuple(value.shape[2:] if name in _SLICED and network.num_objects else value.shape[1:])
        result[place.name] = (max(place.stop, *result.get(place.name, (0,))[:1]), *rest)
    return result


def inferred(tensors: Mapping[str, Tensor]) -> NetworkSettings:
    """The settings of the network in an official file. Drop path and the norm of queries leave no trace in a file.

    Raises:
        KeyError: if a tensor that determines a size is missing.
    """
    size = {name: tuple(value.shape) for name, value in tensors.items()}
    stages = range(4)
    tables = [size[f"backbone.layers.{n}.blocks.0.attn.relative_position_bias_table"] for n in stages]
    encoder, ffn = _TO_PIXELS + "transformer.encoder.layers.", _TO_QUERIES + "transformer_ffn_layers."
    values = {
        "backbone": "swin",
        "embedding_size": size["backbone.patch_embed.proj.weight"][0],
        "depths": tuple(_count(size, f"backbone.layers.{n}.blocks.") for n in stages),
        "swin_heads": tuple(table[1] for table in tables),
        "window": (math.isqrt(tables[0][0]) + 1) // 2,
        "pixel_dim": size[_TO_PIXELS + "mask_features.weight"][1],
        "mask_dim": size[_TO_PIXELS + "mask_features.weight"][0],
        "hidden_dim": size[_TO_QUERIES + "query_feat.weight"][1],
        "num_heads": size[encoder + "0.self_attn.sampling_offsets.weight"][0] // _OFFSETS,
        "feedforward_dim": size[ffn + "0.linear1.weight"][0],
        "encoder_feedforward_dim": size[encoder + "0.linear1.weight"][0],
        "encoder_layers": _count(size, encoder),
        "decoder_layers": _count(size, ffn),
        "num_queries": size[_TO_QUERIES + "query_feat.weight"][0],
    }
    return NetworkSettings.parse(values, "the checkpoint")


def ours(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an official file without those that are not used here, and with old names replaced."""
    return {_OLD.get(name, name): value for name, value in tensors.items() if not _DROPPED.fullmatch(name)}


def _official(name: str) -> str:
    for pattern, target in _COMPILED:
        if pattern.match(name):
            return pattern.sub(target, name, count=1)
    raise KeyError(name)


def _count(names: Iterable[str], prefix: str) -> int:
    """The number of layers under ``prefix``."""
    return len({name[len(prefix) :].split(".")[0] for name in names if name.startswith(prefix)})
