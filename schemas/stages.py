"""The settings of every stage. Defaults are the published ImageNet-1K configuration where it names one."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.base import Settings, checkpoint_setting, file_setting, operational
from schemas.training import NetworkSettings, TrainSettings

__all__ = [
    "AnnotationsSettings",
    "CrfSettings",
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

Metric = Literal["dot", "l2"]
HUMAN_WORDS = ("human", "man", "woman", "toddler", "person")


class IngestSettings(Settings):
    """Reading the image files into the table ``images``."""

    copy_files: bool = Field(False, alias="copy", description="pack the image files into the store")
    max_pixels: int = Field(178_956_970, ge=1, description="an image with more pixels is an error row")


class WeightsSettings(Settings):
    """Published weights: a network that was trained elsewhere."""

    file: str = checkpoint_setting(
        ...,
        min_length=1,
        description="official Mask2Former or PartDistillation (.pkl, .pth), a folder that save_pretrained or this "
        "program wrote, or a hub name",
    )
    network: NetworkSettings | None = Field(
        None, description="the network that it must be; unless set, what the weights look like"
    )
    num_parts: int = Field(
        0, ge=0, description="parts of an object class in a class-specific head; 0 is a plain head, or as config.json"
    )

    @model_validator(mode="before")
    @classmethod
    def _as_distilled(cls, values: Any) -> Any:
        # The original's final models were all trained so: who asks for something else says so.
        if isinstance(values, dict) and values.get("num_parts") and isinstance(values.get("network"), dict):
            values = {**values, "network": {"normalize_queries": True, **values["network"]}}
        return values


class AnnotationsSettings(Settings):
    """Masks that people drew, as a data set publishes them; ``pd init --dataset`` fills in where they are."""

    format: Literal["coco", "part_imagenet", "pascal_part", "cityscapes_part"] = Field(
        "coco", description="what the annotation files are"
    )
    file: tuple[str, ...] = file_setting(
        (), description="coco, part_imagenet: COCO JSON; coco: file_name is an image's key"
    )
    folder: str = Field("", description="pascal_part, cityscapes_part: their folder, relative to the image folder")
    merge_parts: bool = Field(False, description="the parts of one name of an object are one part")
    percent: float = Field(
        100.0, gt=0, le=100, description="share of each split's images whose labels are taken; fewer are a part of more"
    )
    seed: int = Field(0, ge=0, description="percent: of the choice")

    @field_validator("file", mode="before")
    @classmethod
    def _single(cls, value: Any) -> Any:
        return ((value,) if value else ()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        is_json = self.format in ("coco", "part_imagenet")
        if bool(self.file) != is_json or bool(self.folder) == is_json:
            right, wrong = ("file", "folder") if is_json else ("folder", "file")
            raise ValueError(f"format {self.format} needs a {right} and takes no {wrong}")
        return self


class DeticSettings(Settings):
    """Object masks."""

    backend: Literal["detic", "sam3", "grounding-dino+sam2", "tiny", "saliency"] = Field(
        "tiny", description="what finds the objects"
    )
    weights: str = checkpoint_setting(
        "", description="detic: a .pth or .pkl file; sam3, grounding-dino: folder or hub name"
    )
    segmenter: str = checkpoint_setting("", description="grounding-dino+sam2: SAM 2's folder or hub name")
    config: str = file_setting("", description="detic: the .yaml file of Detic that goes with the weights")
    text_model: str = checkpoint_setting(
        "", description="detic: CLIP text model, folder or hub name; none is openai/clip-vit-base-patch32"
    )
    embeddings: str = file_setting(
        "", description="detic: .npy with a text embedding a class (human-only: a word), instead of text_model"
    )
    mode: Literal["max-gt-label", "human-only"] = Field(
        "max-gt-label", description="own class first (and any class if it has none), or people only"
    )
    words: tuple[str, ...] = Field(HUMAN_WORDS, description="human-only: the words for people")
    max_objects: int = Field(10, ge=1, description="objects kept an image, best first")
    min_score: float = Field(0.0, ge=0, le=1, description="an object needs a higher score than this")
    long_side: int = Field(
        640, ge=0, description="images are brought to this long side for the network, in pixels; 0 keeps them"
    )
    batch_size: int = operational(16, ge=1, description="images at once in the network")


class GroupingSettings(Settings):
    """Part segments by k-means on the features inside an object."""

    backend: Literal["backbone", "auto", "pixels"] = Field(
        "backbone", description="features of input model, of any backbone of transformers, or colour and place"
    )
    weights: str = checkpoint_setting("", description="auto: a folder that save_pretrained wrote, or a hub name")
    out_features: tuple[str, ...] = Field(
        (), description="auto: the backbone's stages whose maps are joined, such as stage12; unless set, the last one"
    )
    k: int = Field(4, ge=2, description="segments an object")
    n_init: int = Field(1, ge=1, description="k-means starts, of which the best is kept")
    metric: Metric = Field("dot", description="how a pixel chooses its centroid")
    normalize: bool = Field(False, description="features of unit length before k-means, each map by itself")
    maps: tuple[Annotated[int, Field(ge=0, le=3)], ...] = Field(
        (0, 1), min_length=1, description="backbone: maps that are joined, finest first; 1 is res3"
    )
    input_scale: float = Field(1.0, gt=0, description="images are resized by this before the network")
    stride: int = Field(4, ge=1, description="pixels: image pixels a feature cell")
    seed: int = Field(0, ge=0, description="of k-means")
    objects_per_image: int = Field(1, ge=1, description="best objects of an image that are grouped")
    long_side: int = Field(
        640, ge=0, description="images are brought to this long side for the network, in pixels; 0 keeps them"
    )
    batch_size: int = operational(16, ge=1, description="images at once in the network")


class CrfSettings(Settings):
    """Dense CRF on the part labels; background is a label like any other."""

    gt_prob: float = Field(0.7, gt=0, lt=1, description="trust in the labels")
    gaussian_sxy: float = Field(3.0, gt=0, description="smoothness kernel: pixels")
    gaussian_compat: float = Field(3.0, ge=0, description="smoothness kernel: weight")
    bilateral_sxy: float = Field(20.0, gt=0, description="appearance kernel: pixels")
    bilateral_srgb: float = Field(13.0, gt=0, description="appearance kernel: grey levels")
    bilateral_compat: float = Field(10.0, ge=0, description="appearance kernel: weight")
    iterations: int = Field(10, ge=1, description="mean-field iterations")
    long_side: int = Field(640, ge=0, description="images are brought to this long side first, in pixels; 0 keeps them")


class SegmenterTrainSettings(TrainSettings):
    """A small object segmenter, in place of published weights."""

    network: NetworkSettings = Field(default_factory=NetworkSettings, description="the network")
    split: str = Field("train", description="images of this split are trained on")


class ProposalTrainSettings(TrainSettings):
    """The class-agnostic part-proposal model."""

    network: NetworkSettings = Field(default_factory=NetworkSettings, description="the network")
    split: str = Field("train", description="images of this split are trained on")
    min_object_ratio: float = Field(0.01, ge=0, lt=1, description="least object area, relative to the image")
    min_part_ratio: float = Field(0.05, ge=0, lt=1, description="least part area, relative to its object")


class DistillTrainSettings(TrainSettings):
    """The final model: parts of one object class have the same label in all its images."""

    network: NetworkSettings = Field(default_factory=NetworkSettings, description="the network")
    split: str = Field("train", description="images of this split are trained on")
    parts_per_class: int = Field(8, ge=1, description="clusters of an object class, as in ranking.k")
    batch_size: int = Field(32, ge=1, description="images a step")
    min_object_ratio: float = Field(0.001, ge=0, lt=1, description="least object area, relative to the image")
    min_part_ratio: float = Field(0.001, ge=0, lt=1, description="least part area, relative to its object")


class PartTrainSettings(TrainSettings):
    """A part segmenter that is taught part names: the supervised baseline."""

    network: NetworkSettings = Field(default_factory=NetworkSettings, description="the network")
    split: str = Field("train", description="images of this split are trained on")
    shared_names: bool = Field(
        False, description="a part's name is one class in all object classes; else each object class has its own"
    )
    min_object_ratio: float = Field(0.0, ge=0, lt=1, description="least object area, relative to the image")
    min_part_ratio: float = Field(0.0, ge=0, lt=1, description="least part area, relative to its object")


class ProposalsSettings(Settings):
    """All queries of the proposal model above a score floor."""

    min_score: float = Field(0.05, ge=0, le=1, description="a proposal needs a higher score than this")
    max_proposals: int = Field(200, ge=1, description="proposals an image, best first")
    long_side: int = Field(
        640, ge=0, description="images are brought to this long side for the network, in pixels; 0 keeps them"
    )
    batch_size: int = operational(16, ge=1, description="images at once in the network")


class RankingSettings(Settings):
    """k-means over the segments of each object class."""

    k: int = Field(8, ge=2, description="clusters of an object class")
    n_init: int = Field(1, ge=1, description="k-means starts, of which the best is kept")
    metric: Metric = Field("dot", description="how a segment chooses its cluster")
    normalize: bool = Field(False, description="features of unit length")
    min_score: float = Field(0.7, ge=0, le=1, description="a segment needs a higher score than this")
    min_object_ratio: float = Field(0.0, ge=0, lt=1, description="a segment needs a larger share of its object")
    min_inside: float = Field(0.0, ge=0, le=1, description="at least this share of a segment lies on its object")
    unique_pixels: bool = Field(True, description="each pixel to its best segment before clustering")
    split: str = Field("train", description="images of this split are clustered; those of all if empty")
    seed: int = Field(0, ge=0, description="of k-means")


class LabelsSettings(Settings):
    """Clusters for the segments of every object."""

    metric: Metric = Field("dot", description="as in ranking")
    normalize: bool = Field(False, description="as in ranking")
    top: int = Field(200, ge=1, description="best (segment, cluster) pairs of an object")
    min_score: float = Field(0.0, ge=0, le=1, description="a label needs a higher score than this")
    min_object_ratio: float = Field(0.0, ge=0, lt=1, description="a label needs a larger share of its object")
    unique_pixels: bool = Field(True, description="each pixel has one label")
    min_segment_score: float = Field(0.0, ge=0, le=1, description="a segment needs a higher score than this")
    min_inside: float = Field(0.0, ge=0, le=1, description="at least this share of a segment lies on its object")
    use_object_mask: bool = Field(True, description="segments are cut to the object's mask")
    crf: CrfSettings | None = Field(None, description="dense CRF on the labels; none unless set")


class PredictSettings(Settings):
    """Parts found by the distilled model, given the image's object class."""

    threshold: float = Field(0.5, ge=0, le=1, description="a pixel needs a part of higher summed probability")
    min_area_ratio: float = Field(0.0, ge=0, lt=1, description="a part needs a larger share of the image")
    flip: bool = Field(False, description="average with the mirrored image")
    crf: CrfSettings | None = Field(None, description="dense CRF on the parts; none unless set")
    slots: str = file_setting(
        "",
        description="text file with the classes of the head in their order, a code or 'code,name' a line; needed where "
        "they are not those of the store",
    )
    long_side: int = Field(
        640, ge=0, description="images are brought to this long side for the network, in pixels; 0 keeps them"
    )
    batch_size: int = operational(16, ge=1, description="images at once in the network")


class EvalSettings(Settings):
    """Part quality against ground truth."""

    protocol: Literal["honest", "reference", "both"] = Field("honest", description="without help, or as published")
    vote_split: str = Field("train", description="honest: images that name the clusters")
    test_split: str = Field("val", description="honest: images that are scored")
    reference_splits: tuple[str, ...] = Field(
        (), description="reference: images that vote and are scored; all images unless set"
    )
    ar_limits: tuple[int, ...] = Field((1, 10, 20, 50, 100, 200), description="proposals an image, for AR")
    processes: int = operational(1, ge=1, description="processes that share the blocks")
