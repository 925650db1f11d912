"""The settings of every stage; those of the trainings are written in :mod:`schemas.training`.

Defaults follow the published ImageNet-1K configuration where it sets a value.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.base import Settings, checkpoint_setting, file_setting, operational
from schemas.hub import HUB
from schemas.tracking import PicturedSettings, TrackedSettings
from schemas.training import (
    DistillTrainSettings,
    NetworkSettings,
    PartTrainSettings,
    ProposalTrainSettings,
    SegmenterTrainSettings,
)

__all__ = [
    "AnnotationsSettings",
    "CrfSettings",
    "CrfStageSettings",
    "DeticSettings",
    "DistillTrainSettings",
    "EvalSettings",
    "GroupingSettings",
    "IngestSettings",
    "LabelsSettings",
    "PartTrainSettings",
    "PredictSettings",
    "ProposalTrainSettings",
    "ProposalsSettings",
    "RankingSettings",
    "SegmenterTrainSettings",
    "WeightsSettings",
]

Format = Literal["coco", "paco", "part_imagenet", "part_imagenet_pp", "pascal_part", "cityscapes_part"]
Metric = Literal["dot", "l2"]
SEED_MAX = 2**32 - 1
"""scikit-learn takes no larger seed."""
SIDE_MAX = 32_768
"""Largest long side, in pixels: above it a single picture no longer fits into memory."""
HUMAN_WORDS = ("human", "man", "woman", "toddler", "person")


class IngestSettings(PicturedSettings):
    """Reading the image files into the table ``images``."""

    copy_files: bool = Field(False, alias="copy", description="copy the image files into the store")
    max_pixels: int = Field(178_956_970, ge=1, description="an image with more pixels becomes an error row")


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


class DeticSettings(PicturedSettings):
    """Object masks."""

    backend: Literal["detic", "sam3", "grounding-dino+sam2", "tiny", "saliency"] = Field(
        "tiny", description="what finds the objects"
    )
    weights: str = checkpoint_setting(
        "", description="detic: a .pth or .pkl file; sam3, grounding-dino+sam2: folder or org/name@revision on the hub"
    )
    segmenter: str = checkpoint_setting("", description="grounding-dino+sam2: the same for SAM 2")
    config: str = file_setting("", description="detic: the .yaml file of Detic that goes with the weights")
    text_model: str = checkpoint_setting(
        "", description="detic: CLIP text model, folder or hub name; unless set, openai/clip-vit-base-patch32"
    )
    embeddings: str = file_setting(
        "", description="detic: .npy with one text embedding per class (human-only: per word); replaces text_model"
    )
    mode: Literal["max-gt-label", "human-only"] = Field(
        "max-gt-label", description="objects of the image's class (of any class if there are none), or people only"
    )
    words: tuple[str, ...] = Field(HUMAN_WORDS, description="human-only: the words for people")
    max_objects: int = Field(10, ge=1, le=10_000, description="most objects per image, best first")
    min_score: float = Field(0.0, ge=0, le=1, description="an object needs a higher score than this")
    long_side: int = Field(
        640,
        ge=0,
        le=SIDE_MAX,
        description="images are resized to this long side for the network, in pixels; 0 is off",
    )
    batch_size: int = operational(16, ge=1, description="images per batch in the network")

    @model_validator(mode="before")
    @classmethod
    def _from_hub(cls, values: Any) -> Any:
        # Filled in here, so that name and revision are recorded and enter the fingerprint.
        names = HUB.get(str(values.get("backend", ""))) if isinstance(values, dict) else None
        return {**values, **{key: name for key, name in names.items() if not values.get(key)}} if names else values


class GroupingSettings(PicturedSettings):
    """Part segments by k-means on the features inside an object."""

    backend: Literal["backbone", "auto", "pixels"] = Field(
        "backbone", description="features of the input model, of any transformers backbone, or colour and position"
    )
    weights: str = checkpoint_setting("", description="auto: a folder that save_pretrained wrote, or a hub name")
    out_features: tuple[str, ...] = Field(
        (), description="auto: stages of the backbone whose maps are joined, such as stage12; unless set, the last"
    )
    k: int = Field(4, ge=2, le=1000, description="segments per object")
    n_init: int = Field(1, ge=1, le=1000, description="number of k-means starts; the best is kept")
    metric: Metric = Field("dot", description="how a pixel chooses its centroid")
    normalize: bool = Field(False, description="scale features to unit length before k-means, each map separately")
    maps: tuple[Annotated[int, Field(ge=0, le=3)], ...] = Field(
        (0, 1), min_length=1, description="backbone: maps that are joined, finest first; 1 is res3"
    )
    input_scale: float = Field(1.0, gt=0, le=16, description="images are resized by this factor before the network")
    stride: int = Field(4, ge=1, description="pixels: image pixels per feature cell, along each side")
    seed: int = Field(0, ge=0, le=SEED_MAX, description="seed of k-means")
    objects_per_image: int = Field(1, ge=1, description="number of objects per image that are grouped, best first")
    long_side: int = Field(
        640,
        ge=0,
        le=SIDE_MAX,
        description="images are resized to this long side for the network, in pixels; 0 is off",
    )
    batch_size: int = operational(16, ge=1, description="images per batch in the network")


class CrfSettings(Settings):
    """Dense CRF on the part labels; background is a label like any other.

    The bounds are those of pydensecrf, which is C++ and checks nothing: a width of 1e-6 ends the process. At 0.01 no
    pixel reaches another one, so a smaller width would change no result.
    """

    gt_prob: float = Field(0.7, gt=0, lt=1, description="trust in the labels")
    gaussian_sxy: float = Field(3.0, ge=0.01, le=1e6, description="smoothness kernel: width in pixels")
    gaussian_compat: float = Field(3.0, ge=0, le=1e6, description="smoothness kernel: weight")
    bilateral_sxy: float = Field(20.0, ge=0.01, le=1e6, description="appearance kernel: width in pixels")
    bilateral_srgb: float = Field(13.0, ge=0.01, le=1e6, description="appearance kernel: width in grey levels")
    bilateral_compat: float = Field(10.0, ge=0, le=1e6, description="appearance kernel: weight")
    iterations: int = Field(10, ge=1, le=10_000, description="mean-field iterations")
    long_side: int = Field(
        640, ge=0, le=8192, description="images are resized to this long side first, in pixels; 0 is off"
    )


class CrfStageSettings(PicturedSettings, CrfSettings):
    """The dense CRF as a stage of its own."""


class ProposalsSettings(PicturedSettings):
    """All queries of the proposal model above a score floor."""

    min_score: float = Field(0.05, ge=0, le=1, description="a proposal needs a higher score than this")
    max_proposals: int = Field(200, ge=1, le=100_000, description="most proposals per image, best first")
    long_side: int = Field(
        640,
        ge=0,
        le=SIDE_MAX,
        description="images are resized to this long side for the network, in pixels; 0 is off",
    )
    batch_size: int = operational(16, ge=1, description="images per batch in the network")


class RankingSettings(TrackedSettings):
    """k-means over the segments of each object class."""

    k: int = Field(8, ge=2, le=10_000, description="clusters per object class")
    n_init: int = Field(1, ge=1, le=1000, description="number of k-means starts; the best is kept")
    metric: Metric = Field("dot", description="how a segment chooses its cluster")
    normalize: bool = Field(False, description="scale features to unit length")
    min_score: float = Field(0.7, ge=0, le=1, description="a segment needs a higher score than this")
    min_object_ratio: float = Field(0.0, ge=0, lt=1, description="a segment covers more than this share of its object")
    min_inside: float = Field(0.0, ge=0, le=1, description="at least this share of a segment must lie on its object")
    unique_pixels: bool = Field(True, description="assign each pixel to its best segment before clustering")
    split: str = Field("train", description="split of the images that are clustered; all images if empty")
    seed: int = Field(0, ge=0, le=SEED_MAX, description="seed of k-means")


class LabelsSettings(PicturedSettings):
    """Clusters for the segments of every object."""

    metric: Metric = Field("dot", description="as in ranking")
    normalize: bool = Field(False, description="as in ranking")
    top: int = Field(200, ge=1, le=1_000_000, description="most (segment, cluster) pairs per object, best first")
    min_score: float = Field(0.0, ge=0, le=1, description="a label needs a higher score than this")
    min_object_ratio: float = Field(0.0, ge=0, lt=1, description="a label covers more than this share of its object")
    unique_pixels: bool = Field(True, description="give each pixel at most one label")
    min_segment_score: float = Field(0.0, ge=0, le=1, description="a segment needs a higher score than this")
    min_inside: float = Field(0.0, ge=0, le=1, description="at least this share of a segment must lie on its object")
    use_object_mask: bool = Field(True, description="cut segments to the object's mask")
    crf: CrfSettings | None = Field(None, description="dense CRF on the labels; off unless set")


class PredictSettings(PicturedSettings):
    """Parts found by the distilled model, given the image's object class."""

    threshold: float = Field(0.5, ge=0, le=1, description="a pixel needs a part of higher summed probability than this")
    min_area_ratio: float = Field(0.0, ge=0, lt=1, description="a part must cover more than this share of the image")
    flip: bool = Field(False, description="average with the prediction for the mirrored image")
    crf: CrfSettings | None = Field(None, description="dense CRF on the parts; off unless set")
    slots: str = file_setting(
        "",
        description="text file with the classes of the model's head in order, one 'code' or 'code,name' per line; "
        "needed if they are not the classes of the store",
    )
    long_side: int = Field(
        640,
        ge=0,
        le=SIDE_MAX,
        description="images are resized to this long side for the network, in pixels; 0 is off",
    )
    batch_size: int = operational(16, ge=1, description="images per batch in the network")


class EvalSettings(TrackedSettings):
    """Part quality against ground truth."""

    protocol: Literal["honest", "reference", "both"] = Field(
        "honest", description="honest: on held-out images and without help; reference: as published"
    )
    vote_split: str = Field("train", description="honest: split of the images that name the clusters")
    test_split: str = Field("val", description="honest: split of the images that are scored")
    reference_splits: tuple[str, ...] = Field(
        (), description="reference: splits of the images that vote and are scored; unless set, all images"
    )
    ar_limits: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 10, 20, 50, 100, 200), description="AR: numbers of proposals per image"
    )
    processes: int = operational(1, ge=1, le=1024, description="processes that share the blocks")
