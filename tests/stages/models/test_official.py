"""Names and layouts of the official Mask2Former."""

from __future__ import annotations

import pytest
import torch

from schemas.training import NetworkSettings
from stages.models import official
from stages.models.network import PartNetwork

HEAD = "sem_seg_head.predictor.class_embed.weight"


def test_every_official_swin_l_name_has_a_place() -> None:
    """Each of Swin-L's 215.5 million parameters has one place in an official file, and nothing is left over."""
    with torch.device("meta"):
        network = PartNetwork(NetworkSettings(preset="swin-l"), 80)
    places = official.places(network)
    shapes = official.shapes(network, places)
    covered = sorted((place.name, place.start, place.stop) for place in places.values())
    ends: dict[str, int] = {}
    for name, start, stop in covered:
        assert start == ends.get(name, 0)
        ends[name] = stop
    assert {name: shape[0] for name, shape in shapes.items()} == ends
    total = sum(torch.Size(shape).numel() for shape in shapes.values())
    assert total == sum(p.numel() for p in network.parameters()) == 215_521_989
    assert shapes["backbone.layers.2.blocks.17.attn.relative_position_bias_table"] == (23 * 23, 24)
    assert shapes["backbone.layers.3.blocks.1.attn.qkv.weight"] == (3 * 1536, 1536)
    assert shapes["sem_seg_head.pixel_decoder.transformer.encoder.layers.5.linear1.weight"] == (1024, 256)
    assert shapes["sem_seg_head.predictor.transformer_ffn_layers.8.linear1.weight"] == (2048, 256)
    assert shapes["sem_seg_head.predictor.query_feat.weight"] == (200, 256)
    meta = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    assert NetworkSettings(preset="swin-l").misfits(official.inferred(meta)) == []


def test_a_class_specific_swin_l_head_is_one_official_matrix() -> None:
    """The matrix has 1000 objects x 8 parts + 1 rows."""
    with torch.device("meta"):
        network = PartNetwork(NetworkSettings(preset="tiny"), 8, 1000)
    shapes = official.shapes(network, official.places(network))
    assert shapes[HEAD] == (8001, 32)
    assert shapes[HEAD.replace("weight", "bias")] == (8001,)


def test_official_files_are_recognised_by_their_names() -> None:
    """One name of detectron2's segmentation head is enough."""
    assert official.is_official(["backbone.norm0.bias", HEAD])
    assert not official.is_official(["backbone.norm0.bias", "model.class_predictor.weight"])
    assert not official.is_official([])


def test_names_of_no_use_are_dropped_and_old_names_replaced() -> None:
    """Buffers and weights of the loss are left out, and all other tensors are the same objects as before."""
    kept, renamed = torch.ones(1), torch.ones(2)
    tensors = {
        HEAD: kept,
        "sem_seg_head.predictor.static_query.weight": renamed,
        "criterion.empty_weight": torch.ones(3),
        "pixel_mean": torch.ones(3),
        "backbone.layers.0.blocks.1.attn.relative_position_index": torch.ones(4),
    }
    ours = official.ours(tensors)
    assert ours.keys() == {HEAD, "sem_seg_head.predictor.query_feat.weight"}
    assert ours[HEAD] is kept and ours["sem_seg_head.predictor.query_feat.weight"] is renamed


def test_a_place_is_a_third_or_a_slice_of_an_official_tensor() -> None:
    """Queries, keys and values are consecutive thirds; a class-specific head ends with the row of "no object"."""
    with torch.device("meta"):
        places = official.places(PartNetwork(NetworkSettings(preset="tiny"), 8, 5))
    head = places["class_predictor.weight"], places["class_predictor.no_object.weight"]
    assert [(p.name, p.start, p.stop) for p in head] == [(HEAD, 0, 40), (HEAD, 40, 41)]
    attention = "model.transformer_module.decoder.layers.0.self_attn.{}_proj.weight"
    thirds = [places[attention.format(letter)] for letter in "qkv"]
    assert len({p.name for p in thirds}) == 1 and [p.start for p in thirds] == [0, 32, 64]
    matrix = torch.arange(96.0)[:, None]
    assert torch.equal(torch.cat([p.of({p.name: matrix}) for p in thirds]), matrix)


def test_a_network_that_was_never_published_has_no_places() -> None:
    """A ResNet and a detail branch have tensors that no official file has; the error names one."""
    tiny = NetworkSettings(preset="tiny")
    for settings in (NetworkSettings(), tiny.model_copy(update={"detail_dim": 8})):
        with torch.device("meta"):
            network = PartNetwork(settings, 3)
        with pytest.raises(KeyError, match=r"model\.pixel_level_module\."):
            official.places(network)


def test_settings_follow_from_shapes() -> None:
    """Sizes, depths and heads are inferred; a file that lacks a tensor with a size is a KeyError that names it."""
    tiny = NetworkSettings(preset="tiny")
    with torch.device("meta"):
        network = PartNetwork(tiny, 3)
    shapes = official.shapes(network, official.places(network))
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    assert tiny.misfits(official.inferred(tensors)) == []
    del tensors["backbone.patch_embed.proj.weight"]
    with pytest.raises(KeyError, match=r"backbone\.patch_embed\.proj\.weight"):
        official.inferred(tensors)
