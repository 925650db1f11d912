"""The settings of every stage.

Those of what comes in are written in :mod:`schemas.sources`, those of trainings in :mod:`schemas.training`, those
of what scores in :mod:`schemas.evaluations`.

Defaults follow the published ImageNet-1K configuration where it sets a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.base import SEED_MAX, Settings, checkpoint_setting, file_setting, later_setting, operational
from schemas.division import DivisionSettings
from schemas.evaluations import EvalSettings, LossesSettings, ProxiesSettings
from schemas.former import OF_CANDIDATES
from schemas.hub import HUB
from schemas.sources import SIDE_MAX, AnnotationsSettings, IngestSettings, OriginalSettings, WeightsSettings
from schemas.tracking import PicturedSettings, TrackedSettings
from schemas.training import (
    DistillTrainSettings,
    PartTrainSettings,
    ProposalTrainSettings,
    SegmenterTrainSettings,
)

__all__ = [
    "AnnotationsSettings",
    "CandidatesSettings",
    "CrfSettings",
    "CrfStageSettings",
    "DeticSettings",
    "DistillTrainSettings",
    "EvalSettings",
    "GroupingSettings",
    "IngestSettings",
    "LabelsSettings",
    "LossesSettings",
    "OriginalSettings",
    "PartTrainSettings",
    "PredictSettings",
    "ProposalTrainSettings",
    "ProposalsSettings",
    "ProxiesSettings",
    "RankingSettings",
    "SegmenterTrainSettings",
    "WeightsSettings",
]

Metric = Literal["dot", "l2"]
Precision = Annotated[
    Literal["float32", "bfloat16", "float16"],
    Field(description="numbers that a network computes with; its weights stay float32"),
]
ObjectMask = Literal["detector", "parts"]
HUMAN_WORDS = ("human", "man", "woman", "toddler", "person")


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
        description="long side of the image for the network, in pixels; masks get a frame of at least 640; 0: its own",
    )
    precision: Precision = "float32"
    batch_size: int = operational(16, ge=1, description="images per batch in the network")

    @model_validator(mode="before")
    @classmethod
    def _from_hub(cls, values: Any) -> Any:
        # Filled in here, so that name and revision are recorded and enter the fingerprint.
        names = HUB.get(str(values.get("backend", ""))) if isinstance(values, dict) else None
        return {**values, **{key: name for key, name in names.items() if not values.get(key)}} if names else values


class GroupingSettings(DivisionSettings):
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
        description="long side of the image for the network, in pixels; masks get a frame of at least 640; 0: its own",
    )
    precision: Precision = "float32"
    batch_size: int = operational(16, ge=1, description="images per batch in the network")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.k_min > self.k:
            raise ValueError(f"k_min is at most k, but it is {self.k_min} and k is {self.k}")
        if 0 < self.divide < self.k:
            raise ValueError(f"divide is at least k, but it is {self.divide} and k is {self.k}")
        if self.boundary and not (self.divide or self.k_min):
            raise ValueError("boundary has no effect, because no segments are merged; set divide or k_min")
        if self.backend not in ("backbone", "auto") and (self.colour or self.map_weights):
            raise ValueError(f"colour and map_weights are for backbone and auto; leave them unset for {self.backend}")
        joined = len(self.maps) if self.backend == "backbone" else max(1, len(self.out_features))
        if self.map_weights and len(self.map_weights) != joined:
            raise ValueError(f"map_weights has one weight per map, but it has {len(self.map_weights)} for {joined}")
        return self


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
    margin: float | None = Field(
        2.0,
        ge=0,
        le=1e6,
        description="the picture is cut to the object's box and this many widths of the wider kernel around it; "
        "null: the whole picture",
    )
    engine: Literal["lattice", "pydensecrf"] = Field(
        "lattice", description="what computes it; pydensecrf is the reference, and takes several times as long"
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
        description="long side of the image for the network, in pixels; masks get a frame of at least 640; 0: its own",
    )
    precision: Precision = "float32"
    batch_size: int = operational(16, ge=1, description="images per batch in the network")


_OBJECT_MASK = "an object's mask: the detector's, or all parts of the object in the input 'parts' together"
_IMAGE_RATIO = "an object covers more than this share of its image, by the detector's mask"


class CandidatesSettings(PicturedSettings):
    """The segments of each object that are clustered."""

    min_score: float = Field(0.7, ge=0, le=1, description="a segment needs a higher score than this")
    min_object_ratio: float = Field(0.0, ge=0, lt=1, description="a segment covers more than this share of its object")
    min_inside: float = Field(0.0, ge=0, le=1, description="at least this share of a segment must lie on its object")
    unique_pixels: bool = Field(True, description="assign each pixel to its best segment before clustering")
    object_mask: ObjectMask = Field("detector", description=_OBJECT_MASK)
    min_image_ratio: float = Field(0.0, ge=0, lt=1, description=_IMAGE_RATIO)
    place: bool = later_setting(
        False, description="behind each feature, the segment's place and size in its object, as ranking can use them"
    )
    split: str = Field("train", description="split of the images that are clustered; all images if empty")


class RankingSettings(TrackedSettings):
    """k-means over the candidates of each object class.

    The settings in ``of_places`` need candidates with ``place=true``, and ``metric=l2``. Stage ``labels`` then follows
    them, and its own ``metric`` and ``normalize`` have no effect.
    """

    of_places: ClassVar[tuple[str, ...]] = ("k_min", "whiten", "place", "centre", "matching", "merge")

    former: ClassVar[Mapping[str, str]] = dict.fromkeys(OF_CANDIDATES, "candidates")

    k: int = Field(8, ge=2, le=10_000, description="clusters per object class")
    n_init: int = Field(1, ge=1, le=1000, description="number of k-means starts; the best is kept")
    metric: Metric = Field("dot", description="how a segment chooses its cluster")
    normalize: bool = Field(False, description="scale features to unit length")
    seed: int = Field(0, ge=0, le=SEED_MAX, description="seed of k-means")
    classes_per_unit: int = later_setting(
        64, ge=1, le=10_000, description="object classes per unit of work; pd init takes fewer if they have many images"
    )
    k_min: int = later_setting(0, ge=0, le=10_000, description="fewest clusters, if halves of a class agree; 0: k")
    whiten: int = later_setting(0, ge=0, le=10_000, description="principal components, whitened per class; 0: features")
    place: float = later_setting(0.0, ge=0, le=1000, description="weight of place and size in the object; 0: left out")
    centre: bool = later_setting(False, description="subtract the mean feature of the object's segments")
    matching: bool = later_setting(False, description="one segment per cluster and object, unless a cluster repeats")
    merge: float = later_setting(
        0.0,
        ge=0,
        le=1,
        description="clusters that look alike are one if they meet less than this times by chance; 0: off",
    )

    @model_validator(mode="after")
    def _by_distance(self) -> RankingSettings:
        if used := [name for name in self.of_places if getattr(self, name) and self.metric != "l2"]:
            raise ValueError(f"{', '.join(used)} need metric=l2, because clusters are compared by distance")
        return self


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
    object_mask: ObjectMask = Field("detector", description=_OBJECT_MASK)
    min_image_ratio: float = Field(0.0, ge=0, lt=1, description=_IMAGE_RATIO)
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
        description="long side of the image for the network, in pixels; masks get a frame of at least 640; 0: its own",
    )
    precision: Precision = "float32"
    batch_size: int = operational(16, ge=1, description="images per batch in the network")
