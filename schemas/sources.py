"""The settings of what comes into a store: images, published weights, and masks that people drew."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.base import checkpoint_setting, file_setting, later_setting
from schemas.tracking import PicturedSettings, TrackedSettings
from schemas.training import NetworkSettings

__all__ = ["SIDE_MAX", "AnnotationsSettings", "IngestSettings", "OriginalSettings", "WeightsSettings"]

SIDE_MAX = 32_768
"""Largest long side, in pixels: above it a single picture no longer fits into memory."""
Format = Literal["coco", "paco", "part_imagenet", "part_imagenet_pp", "pascal_part", "cityscapes_part"]


class IngestSettings(PicturedSettings):
    """Reading the image files into the table ``images``."""

    copy_files: bool = Field(False, alias="copy", description="copy the image files into the store")
    max_pixels: int = Field(178_956_970, ge=1, description="an image with more pixels becomes an error row")
    max_decoded_mb: int = later_setting(
        1024,
        ge=1,
        description="an image that takes more memory than this while it is decoded, in MiB, becomes an error row",
    )


class WeightsSettings(TrackedSettings):
    """Published weights: a network that was trained elsewhere."""

    file: str = checkpoint_setting(
        ...,
        min_length=1,
        description="official Mask2Former or PartDistillation (.pkl, .pth), a folder that save_pretrained or this "
        "program wrote, or org/name@revision on the hub",
    )
    network: NetworkSettings | None = Field(
        None, description="the network that the weights must fit; unless set, it is detected from the weights"
    )
    num_parts: int = Field(
        0, ge=0, description="parts per object class of a class-specific head; 0: a plain head, or as in config.json"
    )

    @model_validator(mode="before")
    @classmethod
    def _as_distilled(cls, values: Any) -> Any:
        # The original's final models were all trained this way, so another value must be set explicitly.
        if isinstance(values, dict) and values.get("num_parts") and isinstance(values.get("network"), dict):
            values = {**values, "network": {"normalize_queries": True, **values["network"]}}
        return values


class AnnotationsSettings(PicturedSettings):
    """Masks that people drew, as a data set publishes them; ``pd init --dataset`` fills in their paths."""

    format: Format = Field("coco", description="format of the annotation files")
    file: tuple[str, ...] = file_setting(
        (),
        description="coco, paco, part_imagenet, part_imagenet_pp: JSON files; with coco, file_name is the key of an "
        "image; with part_imagenet_pp and a folder, the tables that go with it",
    )
    folder: str = Field(
        "",
        description="pascal_part, cityscapes_part, part_imagenet_pp: annotation folder, relative to the image folder",
    )
    merge_parts: bool = Field(False, description="merge the parts of an object that have the same name")
    percent: float = Field(
        100.0, gt=0, le=100, description="percentage of each split's images whose labels are used; the sets are nested"
    )
    seed: int = Field(0, ge=0, description="percent: seed of the choice")

    @field_validator("file", mode="before")
    @classmethod
    def _single(cls, value: Any) -> Any:
        return ((value,) if value else ()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        if self.format == "part_imagenet_pp":
            if not self.file and not self.folder:
                raise ValueError("format part_imagenet_pp needs a file or a folder")
            return self
        is_json = self.format in ("coco", "paco", "part_imagenet")
        if bool(self.file) != is_json or bool(self.folder) == is_json:
            right, wrong = ("file", "folder") if is_json else ("folder", "file")
            raise ValueError(f"format {self.format} needs a {right} and takes no {wrong}")
        return self


class OriginalSettings(PicturedSettings):
    """Pseudo-labels that the original system computed: a folder per class, with a file per image."""

    folder: str = Field(..., min_length=1, description="the tree: the folder that holds a folder per class")
    long_side: int = Field(
        640, ge=0, le=SIDE_MAX, description="long side of the frame of the masks, in pixels; 0: that of the image"
    )
