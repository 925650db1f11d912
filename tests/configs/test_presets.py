"""The presets of the published method, number by number."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.training import NetworkSettings
from stages.models.network import build
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset
from stages.train.optimiser import freeze

HUMAN = ("human", "man", "woman", "toddler", "person")
SWIN_L = {
    "backbone": "swin",
    "embedding_size": 192,
    "depths": (2, 2, 18, 2),
    "swin_heads": (6, 12, 24, 48),
    "window": 12,
    "drop_path": 0.3,
    "pixel_dim": 256,
    "mask_dim": 256,
    "hidden_dim": 256,
    "num_heads": 8,
    "feedforward_dim": 2048,
    "encoder_feedforward_dim": 1024,
    "encoder_layers": 6,
    "decoder_layers": 9,
    "num_queries": 200,
    "input_scale": 1,
}
DETIC = {"backend": "detic", "long_side": 640, "max_objects": 10, "batch_size": 1}
GROUPING = {
    "backend": "backbone",
    "maps": (1, 2),  # res3 and res4 of res2 to res5
    "normalize": False,
    "k": 4,
    "metric": "dot",
    "seed": 0,
    "n_init": 10,
    "objects_per_image": 1,
    "long_side": 640,
    "input_scale": 1,
}
CRF = {
    "gt_prob": 0.7,
    "gaussian_sxy": 3,
    "gaussian_compat": 3,
    "bilateral_sxy": 20,
    "bilateral_srgb": 13,
    "bilateral_compat": 10,
    "iterations": 10,
    "long_side": 640,
}
TRAIN = {
    **{f"network.{name}": value for name, value in SWIN_L.items()},
    "weight_decay": 0.05,
    "schedule": "multistep",
    "warmup_steps": 10,
    "warmup_factor": 1.0,
    "backbone_lr_ratio": 0.1,
    "clip": 0.01,
    "class_weight": 2,
    "mask_weight": 5,
    "dice_weight": 5,
    "no_object_weight": 0.1,
    "num_points": 12544,
    "oversample_ratio": 3.0,
    "amp": True,
    "checkpoint_activations": True,
    "ema_decay": 0,
    "split": "train",
    "augment.size_px": 640,
    "augment.flip_ratio": 0.5,
    "augment.crop_min_ratio": 0.9,
    "augment.scale_min": 0.1,
    "augment.scale_max": 2.0,
    "augment.colour": 0,
    "augment.rotation_rad": 0,
    "augment.shift_ratio": 0,
}
PROPOSAL_TRAIN = {**TRAIN, "network.normalize_queries": False, "min_part_ratio": 0.05}
DISTILL_TRAIN = {**TRAIN, "network.normalize_queries": True, "min_object_ratio": 0.001, "parts_per_class": 8}
OF_1K = {"lr": 1e-5, "importance_ratio": 0.75, "min_score": 0, "steps": 90_000, "milestones": (75_000, 85_000)}
OF_21K = {"lr": 1e-4, "importance_ratio": 0, "min_score": -1}
PROPOSALS = {"max_proposals": 200, "min_score": 0, "long_side": 640}
CANDIDATES = {"min_inside": 0, "unique_pixels": True, "split": "train"}
RANKING = {"k": 8, "seed": 0, "n_init": 10}
LABELS = {"top": 200, "min_segment_score": 0, "min_inside": 0, "unique_pixels": True, "use_object_mask": True}
DETECTED, IN_PARTS = (
    {"object_mask": mask, "min_image_ratio": ratio} for mask, ratio in (("detector", 0), ("parts", 0.001))
)

NUMBERS: dict[str, dict[str, dict[str, Any]]] = {
    "imagenet_1k": {
        "mask2former": {f"network.{name}": value for name, value in SWIN_L.items()},
        "detic": {**DETIC, "mode": "max-gt-label", "min_score": 0},
        "detic-human": {**DETIC, "mode": "human-only", "words": HUMAN, "min_score": 0.3},
        "grouping": GROUPING,
        "grouping-human": GROUPING,
        "crf": CRF,
        "crf-human": CRF,
        "proposal-train": {
            **PROPOSAL_TRAIN,
            **OF_1K,
            "batch_size": 64,
            "min_object_ratio": 0.01,
        },
        "proposals": PROPOSALS,
        "candidates": {**CANDIDATES, **DETECTED, "min_score": 0.7, "min_object_ratio": 0},
        "ranking": {**RANKING, "metric": "dot", "normalize": False},
        "labels": {
            **LABELS,
            **DETECTED,
            "metric": "dot",
            "normalize": False,
            "min_score": 0,
            "min_object_ratio": 0,
            "crf": None,
        },
        "distill-train": {
            **DISTILL_TRAIN,
            **OF_1K,
            "batch_size": 32,
            "min_part_ratio": 0.001,
        },
        "distill": {"long_side": 640},
    },
    "imagenet_21k": {
        "mask2former": {f"network.{name}": value for name, value in SWIN_L.items()},
        "detic": {**DETIC, "mode": "max-gt-label", "min_score": 0},
        "grouping": GROUPING,
        "crf": CRF,
        "proposal-train": {
            **PROPOSAL_TRAIN,
            **OF_21K,
            "batch_size": 512,
            "min_object_ratio": 0.05,
            "steps": 50_000,
            "milestones": (40_000, 45_000),
        },
        "proposals": PROPOSALS,
        "candidates": {**CANDIDATES, **IN_PARTS, "min_score": 0.3, "min_object_ratio": 0.05},
        "ranking": {**RANKING, "metric": "l2", "normalize": True},
        "labels": {
            **LABELS,
            **IN_PARTS,
            "metric": "l2",
            "normalize": True,
            "min_score": 0.1,
            "min_object_ratio": 0.05,
            "crf": None,
        },
        "distill-train": {
            **DISTILL_TRAIN,
            **OF_21K,
            "batch_size": 256,
            "min_part_ratio": 0,
            "steps": 120_000,
            "milestones": (100_000, 110_000),
        },
        "distill": {"long_side": 640},
    },
}
"""Preset -> node -> setting -> its published value (a network's settings as its preset fills them in)."""

INPUTS = {
    "mask2former": {},
    "detic": {"images": ("ingest",)},
    "grouping": {"images": ("ingest",), "objects": ("detic",), "model": ("mask2former",)},
    "crf": {"images": ("ingest",), "parts": ("grouping",)},
    "proposal-train": {"images": ("ingest",), "parts": ("crf",), "model": ("mask2former",)},
    "proposals": {"images": ("ingest",), "model": ("proposal-train",)},
    "candidates": {"images": ("ingest",), "objects": ("detic",), "segments": ("proposals",)},
    "ranking": {"candidates": ("candidates",)},
    "labels": {"images": ("ingest",), "objects": ("detic",), "segments": ("proposals",), "clusters": ("ranking",)},
    "distill-train": {"images": ("ingest",), "labels": ("labels",), "model": ("proposal-train",)},
    "distill": {"images": ("ingest",), "model": ("distill-train",)},
}
PART_INPUTS = {name: {**INPUTS[name], "parts": ("crf",)} for name in ("candidates", "labels")}
HUMAN_INPUTS = {
    "detic-human": {"images": ("ingest",)},
    "grouping-human": {"images": ("ingest",), "objects": ("detic-human",), "model": ("mask2former",)},
    "crf-human": {"images": ("ingest",), "parts": ("grouping-human",)},
    "proposal-train": {"images": ("ingest",), "parts": ("crf", "crf-human"), "model": ("mask2former",)},
}
GRAPHS: dict[str, dict[str, Any]] = {
    "imagenet_1k": {"ingest": {}, **INPUTS, **HUMAN_INPUTS},
    "imagenet_21k": {"ingest": {}, **INPUTS, **PART_INPUTS},
}


def pipeline(preset: str) -> Pipeline:
    return Pipeline(read_preset(preset), root="images")


def value_of(settings: Any, path: str) -> Any:
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


@pytest.mark.parametrize(("preset", "node"), [(preset, node) for preset in NUMBERS for node in NUMBERS[preset]])
def test_every_number_is_the_published_one(preset: str, node: str) -> None:
    """Each node of the preset has the values of the published configuration."""
    settings, expected = pipeline(preset)[node].settings, NUMBERS[preset][node]
    assert {path: value_of(settings, path) for path in expected} == expected


@pytest.mark.parametrize("preset", NUMBERS)
def test_the_nodes_are_those_of_the_training_guide(preset: str) -> None:
    """Both modes of detic feed proposal training, candidates come from one, and both trainings start from a network."""
    assert {name: dict(node.inputs) for name, node in pipeline(preset).nodes.items()} == GRAPHS[preset]


@pytest.mark.parametrize("preset", NUMBERS)
def test_a_training_has_the_network_that_it_starts_from(preset: str) -> None:
    """All three networks have the same architecture; only the final one normalises its queries."""
    nodes = pipeline(preset)
    first, second, last = (nodes[n].settings.network for n in ("mask2former", "proposal-train", "distill-train"))  # type: ignore[attr-defined]
    assert first == second
    assert last == second.model_copy(update={"normalize_queries": True})


@pytest.mark.parametrize("preset", NUMBERS)
@pytest.mark.parametrize("node", ["proposal-train", "distill-train"])
def test_backbone_and_pixel_encoder_are_frozen(preset: str, node: str) -> None:
    """The original freezes names with 'backbone' or 'encoder': here, the Swin and the deformable encoder."""
    network = build(NetworkSettings(preset="tiny"), 1)
    freeze(network, pipeline(preset)[node].settings.freeze)  # type: ignore[attr-defined]
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    pixel = "model.pixel_level_module"
    assert {".".join(name.split(".")[:4]) for name in frozen if name.startswith(f"{pixel}.decoder")} == {
        f"{pixel}.decoder.encoder"
    }
    assert frozen == {name for name, _ in network.named_parameters() if "encoder" in name}
    learning = {name.split(".")[3] for name, p in network.named_parameters() if p.requires_grad and pixel in name}
    assert {"level_embed", "input_projections", "mask_projection"} <= learning


@pytest.mark.parametrize("preset", NUMBERS)
def test_other_features_make_another_layer(preset: str) -> None:
    """Backend, features, metric and k each lead to another layer; the batch size does not."""
    spec = read_preset(preset)
    changes: list[dict[str, Any]] = [
        {},
        {"k": 5},
        {"metric": "l2"},
        {"maps": [2]},
        {"backend": "auto", "weights": "facebook/dinov2-base"},
        {"backend": "auto", "weights": "facebook/dinov2-base", "out_features": ["stage11", "stage12"]},
        {"backend": "auto", "weights": "facebook/dinov2-large"},
    ]
    layers = {Pipeline(spec, {"grouping": change}, "images")["grouping"].fingerprint for change in changes}
    assert len(layers) == len(changes)
    same = Pipeline(spec, {"grouping": {"batch_size": 2}}, "images")["grouping"].fingerprint
    assert same == pipeline(preset)["grouping"].fingerprint
