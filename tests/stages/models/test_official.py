"""Names and layouts of the official Mask2Former."""

from __future__ import annotations

import torch

from schemas.training import NetworkSettings
from stages.models import official
from stages.models.network import PartNetwork

HEAD = "sem_seg_head.predictor.class_embed.weight"


def test_every_official_swin_l_name_has_a_place() -> None:
    """Swin-L has 215.5 million parameters, each in one place of an official file, with nothing of it left."""
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
    """1000 objects x 8 parts + 1 rows."""
    with torch.device("meta"):
        network = PartNetwork(NetworkSettings(preset="tiny"), 8, 1000)
    shapes = official.shapes(network, official.places(network))
    assert shapes[HEAD] == (8001, 32)
    assert shapes[HEAD.replace("weight", "bias")] == (8001,)
