"""Typed settings of the networks that are trained here, and of their trainings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from schemas.base import Settings, operational
from schemas.tracking import PicturedSettings

__all__ = [
    "NETWORK_PRESETS",
    "AugmentSettings",
    "DistillTrainSettings",
    "NetworkSettings",
    "PartTrainSettings",
    "ProposalTrainSettings",
    "SegmenterTrainSettings",
    "TrainSettings",
]


NETWORK_PRESETS: Mapping[str, Mapping[str, Any]] = {
    # The network of the golden test data: every layer of the real network, and fast on a CPU.
    "tiny": {
        "backbone": "swin",
        "embedding_size": 16,
        "depths": (1, 1, 2, 1),
        "swin_heads": (1, 2, 4, 8),
        "window": 4,
        "drop_path": 0.0,
        "pixel_dim": 32,
        "mask_dim": 32,
        "hidden_dim": 32,
        "num_heads": 4,
        "feedforward_dim": 64,
        "encoder_feedforward_dim": 1024,
        "encoder_layers": 1,
        "decoder_layers": 3,
        "num_queries": 10,
    },
    # Mask2Former Swin-L, COCO instance segmentation, pretrained on ImageNet-21k at 384 pixels: the paper's network.
    "swin-l": {
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
    },
}
"""Preset -> its settings. A setting that is given by name takes precedence."""


class NetworkSettings(Settings):
    """A Mask2Former. The defaults are a small one on a ResNet that the demo trains from scratch.

    ``preset`` only fills in other settings. Afterwards it is empty, so the same network written out in full is equal.
    """

    preset: Literal["", "tiny", "swin-l"] = Field("", exclude=True, description="values of the settings not given here")
    backbone: Literal["resnet", "swin"] = Field("resnet", description="kind of backbone")
    embedding_size: int = Field(24, ge=8, description="channels of the stem")
    hidden_sizes: tuple[int, int, int, int] = Field(
        (24, 48, 96, 128), description="channels of the four stages; in a Swin they start at embedding_size and double"
    )
    depths: tuple[int, int, int, int] = Field((1, 1, 1, 1), description="blocks in each stage")
    swin_heads: tuple[int, int, int, int] = Field((3, 6, 12, 24), description="swin: attention heads in each stage")
    window: int = Field(7, ge=2, description="swin: side of the attention window; 12 if pretrained at 384 px")
    drop_path: float = Field(0.0, ge=0, lt=1, description="swin: highest probability of skipping a block in training")
    detail_dim: int = Field(0, ge=0, description="channels of a branch for masks at stride 2; 0 is off (stride 4)")
    pixel_dim: int = Field(64, ge=32, multiple_of=32, description="width of the pixel decoder")
    mask_dim: int = Field(64, ge=8, description="width of the mask features")
    hidden_dim: int = Field(64, ge=32, multiple_of=32, description="width of the queries")
    num_heads: int = Field(4, ge=1, description="attention heads of the pixel decoder and of the query decoder")
    feedforward_dim: int = Field(128, ge=16, description="width of the decoder's feed-forward layers")
    encoder_feedforward_dim: int = Field(0, ge=0, description="as feedforward_dim, for the pixel decoder; 0: the same")
    encoder_layers: int = Field(0, ge=0, description="deformable attention layers of the pixel decoder")
    decoder_layers: int = Field(2, ge=1, description="masked attention layers of the query decoder")
    num_queries: int = Field(12, ge=1, description="masks that are proposed per image")
    normalize_queries: bool = Field(False, description="scale mask embeddings to unit length before the mask product")
    input_scale: float = Field(1.0, gt=0, le=16, description="images are resized by this factor before the network")

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        name = values.get("preset", "")
        if name in NETWORK_PRESETS:
            values = {**NETWORK_PRESETS[name], **values, "preset": ""}
        stem = values.get("embedding_size", 24)
        if values.get("backbone") == "swin" and isinstance(stem, int):
            values = {"hidden_sizes": tuple(stem * 2**stage for stage in range(4)), **values}
        return values

    @model_validator(mode="after")
    def _fits(self) -> NetworkSettings:
        if self.backbone == "swin":
            widths = tuple(self.embedding_size * 2**stage for stage in range(4))
            if self.hidden_sizes != widths:
                raise ValueError(f"hidden_sizes of a swin are {widths}, got {self.hidden_sizes}")
            if any(width % heads for width, heads in zip(widths, self.swin_heads, strict=True)):
                raise ValueError(f"swin_heads must divide the widths {widths}, got {self.swin_heads}")
        for name in ("pixel_dim", "hidden_dim"):
            if getattr(self, name) % self.num_heads:
                raise ValueError(f"num_heads must divide {name} {getattr(self, name)}, got {self.num_heads}")
        return self

    def misfits(self, other: NetworkSettings) -> list[str]:
        """Settings that keep this network from using the weights of ``other``, as ``num_queries 10, not 200``."""
        ignored = {"preset", "drop_path", "normalize_queries", "input_scale"}
        if self.backbone == other.backbone == "resnet":
            ignored |= {"swin_heads", "window"}
        if self.encoder_layers == other.encoder_layers == 0:
            ignored |= {"encoder_feedforward_dim"}
        mine, theirs = ({**s.model_dump(), "encoder_feedforward_dim": s.encoder_width} for s in (self, other))
        return [f"{k} {mine[k]}, not {theirs[k]}" for k in mine if k not in ignored and mine[k] != theirs[k]]

    @property
    def encoder_width(self) -> int:
        """Width of the pixel decoder's feed-forward layers."""
        return self.encoder_feedforward_dim or self.feedforward_dim


class AugmentSettings(Settings):
    """Random changes to a training image. Flip, crop, scale, rotation and shift are one affine map.

    A scaled window that is larger than the square is seen through it at a random place; a smaller one lies at its top
    left. Rotation, shift and colour are not in the original.
    """

    size_px: int = Field(640, ge=32, le=8192, multiple_of=32, description="side of the square that the network sees")
    flip_ratio: float = Field(0.5, ge=0, le=1, description="probability that an image is mirrored left to right")
    crop_min_ratio: float = Field(
        0.9, ge=0.001, le=1, description="smallest relative side of a random window; 1 is off"
    )
    scale_min: float = Field(0.1, ge=0.001, description="smallest ratio of the window's long side to the square")
    scale_max: float = Field(2.0, gt=0, le=1000, description="largest such ratio")
    rotation_rad: float = Field(0.0, ge=0, description="largest rotation in either direction, in radians")
    shift_ratio: float = Field(0.0, ge=0, lt=1, description="largest shift, relative to the square")
    colour: float = Field(0.0, ge=0, lt=1, description="strength of brightness, contrast, saturation and colour cast")

    @model_validator(mode="after")
    def _ordered(self) -> AugmentSettings:
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min must not exceed scale_max, got {self.scale_min} and {self.scale_max}")
        return self


_PART_RATIO = "in each draw, a part needs a larger share than this of the visible area of its object's parts"


class TrainSettings(PicturedSettings):
    """One training. The defaults are the 1K configuration of the paper's authors."""

    network: NetworkSettings = Field(default_factory=NetworkSettings, description="the network")
    split: str = Field("train", description="split of the training images")
    steps: int = Field(90_000, ge=1, description="optimiser steps")
    batch_size: int = Field(64, ge=1, description="images per step, over all ranks")
    lr: float = Field(1e-5, gt=0, description="learning rate after the warm-up")
    weight_decay: float = Field(0.05, ge=0, description="weight decay of AdamW; norms and embeddings have none")
    schedule: Literal["cosine", "multistep"] = Field("multistep", description="how the learning rate falls")
    milestones: tuple[int, ...] = Field((75_000, 85_000), description="multistep: steps at which it falls tenfold")
    warmup_steps: int = Field(10, ge=0, description="steps of linear warm-up")
    warmup_factor: float = Field(1.0, ge=0, le=1, description="share of the learning rate that warm-up starts from")
    clip: float = Field(0.01, gt=0, description="largest gradient norm of the full model; larger gradients are clipped")
    ema_decay: float = Field(0.0, ge=0, lt=1, description="decay of the averaged weights; 0 uses the last weights")
    ema_start_ratio: float = Field(0.5, ge=0, lt=1, description="share of the steps after which averaging starts")
    num_points: int = Field(12_544, ge=1, le=10_000_000, description="points at which mask losses are taken")
    oversample_ratio: float = Field(3.0, ge=1, le=100, description="points drawn per point that is kept")
    importance_ratio: float = Field(0.75, ge=0, le=1, description="share of points taken where the mask is uncertain")
    class_weight: float = Field(2.0, ge=0, description="weight of the class loss")
    mask_weight: float = Field(5.0, ge=0, description="weight of the mask cross-entropy")
    dice_weight: float = Field(5.0, ge=0, description="weight of the dice loss")
    no_object_weight: float = Field(0.1, gt=0, description="weight of the class 'no object' in the class loss")
    backbone_lr_ratio: float = Field(0.1, ge=0, description="learning rate of the backbone, relative to lr")
    freeze: tuple[str, ...] = Field((), description="parameters whose names contain one of these words are not trained")
    amp: bool = Field(False, description="bfloat16 in the network if the GPU supports it, else float32")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="seed of weights, sample order, augmentation and points")
    window: int = Field(8, ge=1, description="blocks whose images are shuffled together")
    min_object_ratio: float = Field(0.0, ge=0, lt=1, description="smallest object area, relative to the image")
    min_part_ratio: float = Field(0.0, ge=0, lt=1, description=_PART_RATIO)
    min_score: float = Field(0.0, ge=-1, le=1, description="a part needs a higher score than this; -1 takes all")
    augment: AugmentSettings = Field(default_factory=AugmentSettings, description="random changes to the images")
    augment_on: Literal["cpu", "device"] = Field(
        "cpu", description="where pictures and masks are warped; device: in the step, where few CPU cores feed a GPU"
    )
    threads: int = operational(
        0,
        ge=0,
        le=1024,
        description="CPU threads of the process (the largest of all nodes); 0 is torch's choice; for exact resume",
    )
    loader_threads: int = operational(4, ge=1, le=1024, description="threads per rank that decode and augment images")
    accumulate: int = operational(1, ge=1, description="number of pieces in which a rank computes its share of a batch")
    checkpoint_activations: bool = operational(False, description="recompute activations instead of keeping them")
    compile: bool = operational(False, description="torch.compile the network")
    checkpoint_every: int = operational(1000, ge=1, description="steps between checkpoints")
    # A training that ends has the same weights whatever this limit is: it only decides when to give up. So it may be
    # raised to continue one that was stopped.
    max_skipped: int = operational(
        10, ge=0, description="steps in a row that may be skipped because their loss or gradient is not finite"
    )
    keep: int = operational(2, ge=1, description="number of newest checkpoints to keep, in addition to the best")
    validate_every: int = operational(0, ge=0, description="steps between validations on held-out images; 0 is never")
    validate_split: str = operational("val", description="split of the held-out images")
    validate_images: int = operational(256, ge=1, description="number of held-out images to validate on")
    evaluate_every: int = operational(0, ge=0, description="steps between evaluations on ground truth; 0 is never")
    evaluate_stores: tuple[str, ...] = operational(
        (), description="stores with ground truth to evaluate on, by URL: made with pd init --dataset, and finished"
    )
    evaluate_splits: tuple[str, ...] = operational(
        ("val",), description="splits of their images that are scored; all images if empty"
    )
    evaluate_images: int = operational(1000, ge=0, description="most images of each store to score; 0 is all")
    evaluate_protocol: Literal["honest", "reference"] = operational(
        "reference", description="protocol of these evaluations, as in the stage eval"
    )
    picture_every: int = operational(
        0, ge=0, description="steps between pictures of labels and predictions; 0 is never"
    )

    @field_validator("evaluate_stores", "evaluate_splits", mode="before")
    @classmethod
    def _single(cls, value: Any) -> Any:
        return ((value,) if value else ()) if isinstance(value, str) else value


class SegmenterTrainSettings(TrainSettings):
    """A small object segmenter that takes the place of published weights."""


class ProposalTrainSettings(TrainSettings):
    """The class-agnostic part-proposal model."""

    min_object_ratio: float = Field(0.01, ge=0, lt=1, description="smallest object area, relative to the image")
    min_part_ratio: float = Field(0.05, ge=0, lt=1, description=_PART_RATIO)


class DistillTrainSettings(TrainSettings):
    """The final model, in which the parts of an object class have the same labels in all images."""

    parts_per_class: int = Field(8, ge=1, description="clusters per object class, as in ranking.k")
    batch_size: int = Field(32, ge=1, description="images per step")
    min_object_ratio: float = Field(0.001, ge=0, lt=1, description="smallest object area, relative to the image")
    min_part_ratio: float = Field(
        0.001, ge=0, lt=1, description=f"{_PART_RATIO}, and at least this share of the image beforehand"
    )


class PartTrainSettings(TrainSettings):
    """A part segmenter that learns the names of parts: the supervised baseline."""

    shared_names: bool = Field(
        False, description="one class per part name for all object classes; otherwise one per object class and name"
    )
    min_object_ratio: float = Field(0.0, ge=0, lt=1, description="smallest object area, relative to the image")
    min_part_ratio: float = Field(0.0, ge=0, lt=1, description=_PART_RATIO)
