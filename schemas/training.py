"""Typed settings of the networks that are trained here and of the trainings themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.base import Settings, operational

__all__ = ["AugmentSettings", "NetworkSettings", "TrainSettings"]


class NetworkSettings(Settings):
    """A small Mask2Former on a ResNet, trained from nothing: what the demo uses in place of published weights."""

    embedding_size: int = Field(24, ge=8, description="channels of the stem")
    hidden_sizes: tuple[int, int, int, int] = Field((24, 48, 96, 128), description="channels of the four stages")
    depths: tuple[int, int, int, int] = Field((1, 1, 1, 1), description="residual blocks in each stage")
    detail_dim: int = Field(0, ge=0, description="channels of a branch that brings masks to stride 2; 0 is stride 4")
    pixel_dim: int = Field(64, ge=32, multiple_of=32, description="width of the pixel decoder")
    mask_dim: int = Field(64, ge=8, description="width of the mask features")
    hidden_dim: int = Field(64, ge=32, multiple_of=32, description="width of the queries")
    num_heads: int = Field(4, ge=1, description="attention heads")
    feedforward_dim: int = Field(128, ge=16, description="width of the decoder's feed-forward layers")
    encoder_layers: int = Field(0, ge=0, description="deformable attention layers of the pixel decoder")
    decoder_layers: int = Field(2, ge=1, description="masked attention layers of the query decoder")
    num_queries: int = Field(12, ge=1, description="masks proposed for an image")
    input_scale: float = Field(1.0, gt=0, description="images are resized by this before the network")


class AugmentSettings(Settings):
    """Random changes to a training image. One affine map makes flip, crop, scale, rotation and shift."""

    size_px: int = Field(640, ge=32, multiple_of=32, description="side of the square that the network sees")
    flip_ratio: float = Field(0.5, ge=0, le=1, description="how often an image is mirrored left to right")
    crop_min_ratio: float = Field(0.9, gt=0, le=1, description="least side of the random window, relative; 1 is off")
    scale_min: float = Field(0.1, gt=0, description="least scale of the window's long side to the square")
    scale_max: float = Field(2.0, gt=0, description="largest such scale")
    rotation_rad: float = Field(0.0, ge=0, description="largest rotation to either side")
    shift_ratio: float = Field(0.0, ge=0, lt=1, description="largest shift, relative to the square")
    colour: float = Field(0.0, ge=0, lt=1, description="strength of brightness, contrast, saturation and colour cast")

    @model_validator(mode="after")
    def _ordered(self) -> AugmentSettings:
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min must not exceed scale_max, got {self.scale_min} and {self.scale_max}")
        return self


class TrainSettings(Settings):
    """One training. The defaults are the 1K configuration of the paper's authors."""

    steps: int = Field(90_000, ge=1, description="optimiser steps")
    batch_size: int = Field(64, ge=1, description="images a step")
    lr: float = Field(1e-5, gt=0, description="learning rate after the warm-up")
    weight_decay: float = Field(0.05, ge=0, description="AdamW decay; none on norms, biases and embeddings")
    schedule: Literal["cosine", "multistep"] = Field("multistep", description="how the learning rate falls")
    milestones: tuple[int, ...] = Field((75_000, 85_000), description="multistep: steps at which it falls tenfold")
    warmup_steps: int = Field(10, ge=0, description="steps of linear warm-up")
    warmup_factor: float = Field(1.0, ge=0, le=1, description="share of the learning rate that warm-up starts from")
    clip: float = Field(0.01, gt=0, description="largest gradient norm of the full model")
    ema_decay: float = Field(0.0, ge=0, lt=1, description="decay of the averaged weights; 0 keeps the last weights")
    ema_start_ratio: float = Field(0.5, ge=0, lt=1, description="averaging starts at this share of the steps")
    num_points: int = Field(12_544, ge=1, description="points at which mask losses are taken")
    oversample_ratio: float = Field(3.0, ge=1, description="points drawn for each one kept")
    importance_ratio: float = Field(0.75, ge=0, le=1, description="share of points taken where the mask is uncertain")
    class_weight: float = Field(2.0, ge=0, description="weight of the class loss")
    mask_weight: float = Field(5.0, ge=0, description="weight of the mask cross-entropy")
    dice_weight: float = Field(5.0, ge=0, description="weight of the dice loss")
    no_object_weight: float = Field(0.1, gt=0, description="weight of the class 'no object'")
    backbone_lr_ratio: float = Field(0.1, ge=0, description="the backbone's learning rate, relative")
    freeze: tuple[str, ...] = Field((), description="parameters whose name contains one of these stay as they are")
    amp: bool = Field(False, description="bfloat16 autocast in the network")
    seed: int = Field(0, ge=0, description="of initial weights, sample order, augmentation and points")
    window: int = Field(8, ge=1, description="blocks whose images are shuffled together")
    min_object_ratio: float = Field(0.0, ge=0, lt=1, description="least object area, relative to the image")
    min_part_ratio: float = Field(0.0, ge=0, lt=1, description="least part area, relative to its object")
    min_score: float = Field(0.0, ge=0, le=1, description="least score of a part")
    augment: AugmentSettings = Field(default_factory=AugmentSettings, description="random changes to the images")
    threads: int = operational(0, ge=0, description="CPU threads, 0 is torch's own; bit-exact resume needs it fixed")
    checkpoint_every: int = operational(1000, ge=1, description="steps between checkpoints")
    keep: int = operational(2, ge=1, description="checkpoints that are kept")
