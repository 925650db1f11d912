"""Every stage, declared: its settings, its inputs, the table it writes, the unit it commits, where its code is.

The code is imported only when a stage runs, so that ``pd --help`` loads neither torch nor Zarr.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pdstore.table import Table
from schemas import stages as settings
from schemas import tables
from schemas.base import Settings

if TYPE_CHECKING:
    from stages.unit import Output, Setup, Unit

__all__ = ["CLASS_NAMES", "CONFUSION", "MODEL", "PART_NAMES", "STAGES", "Role", "Stage"]

MODEL = "model"
"""The pseudo-table of an input that is a trained network."""


CLASS_NAMES = "classes.json"
"""The file beside a segmenter's weights that names its output classes."""

CONFUSION = "confusion.json"
"""The file beside an evaluation's rows with the confusion of each object class's parts, in pixels."""

PART_NAMES = "parts.json"
"""The file beside a supervised part segmenter's weights: [category, part] of each output class."""


@dataclass(frozen=True)
class Role:
    """An input: the tables that fit, whether it may be left out, and whether it may be several nodes."""

    tables: tuple[str, ...]
    is_optional: bool = False
    is_list: bool = False


@dataclass(frozen=True)
class Stage:
    """A declaration.

    Attributes:
        version: rises when the same settings would give other results.
        unit: ``block``; ``bucket`` of 64 classes; or ``whole``.
        entry: module with ``start(settings, setup) -> (unit -> output)``.
        writes_model: its output is a network, in the extra files of its one unit.
        is_training: it learns in steps and goes on from checkpoints.
        reads_listing: its units are handed the listed images instead of rows of ``images``.
    """

    name: str
    doc: str
    settings: type[Settings]
    output: Table
    entry: str
    inputs: Mapping[str, Role] = field(default_factory=dict)
    unit: Literal["block", "bucket", "whole"] = "block"
    version: int = 1
    writes_model: bool = False
    is_training: bool = False
    reads_listing: bool = False

    @property
    def is_barrier(self) -> bool:
        """True if a unit needs all of its input."""
        return self.unit != "block"

    def load(self) -> Callable[[Any, Setup], Callable[[Unit], Output]]:
        """Import the code. Raises ImportError if a package is missing."""
        start: Callable[[Any, Setup], Callable[[Unit], Output]] = importlib.import_module(self.entry).start
        return start


_IMAGES = Role(("images",))
_NETWORK = Role((MODEL,), is_optional=True)
_SEGMENTS = Role(("proposals", "parts"))
_MASKED = Role(("objects", "labels", "predictions"), is_optional=True)

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "ingest",
            "read the image files",
            settings.IngestSettings,
            tables.IMAGES,
            "stages.nodes.ingest",
            reads_listing=True,
        ),
        Stage(
            "weights",
            "bring published weights",
            settings.WeightsSettings,
            tables.METRICS,
            "stages.nodes.weights",
            unit="whole",
            writes_model=True,
        ),
        Stage(
            "annotated-objects",
            "object masks that people drew",
            settings.AnnotationsSettings,
            tables.OBJECTS,
            "stages.nodes.annotated_objects",
            {"images": _IMAGES},
        ),
        Stage(
            "annotated-parts",
            "part masks that people drew",
            settings.AnnotationsSettings,
            tables.PARTS,
            "stages.nodes.annotated_parts",
            {"images": _IMAGES},
            version=2,
        ),
        Stage(
            "segmenter-train",
            "train a small object segmenter",
            settings.SegmenterTrainSettings,
            tables.METRICS,
            "stages.nodes.segmenter_train",
            {"images": _IMAGES, "objects": Role(("objects",))},
            unit="whole",
            writes_model=True,
            is_training=True,
            version=3,
        ),
        Stage(
            "detic",
            "find object masks",
            settings.DeticSettings,
            tables.OBJECTS,
            "stages.nodes.detic",
            {"images": _IMAGES, "model": _NETWORK},
        ),
        Stage(
            "grouping",
            "group the pixels of objects into parts",
            settings.GroupingSettings,
            tables.PARTS,
            "stages.nodes.grouping",
            {"images": _IMAGES, "objects": Role(("objects",)), "model": _NETWORK},
            version=2,
        ),
        Stage(
            "crf",
            "smooth parts with a dense CRF",
            settings.CrfSettings,
            tables.PARTS,
            "stages.nodes.crf",
            {"images": _IMAGES, "parts": Role(("parts",))},
            version=2,
        ),
        Stage(
            "proposal-train",
            "train the class-agnostic part-proposal model",
            settings.ProposalTrainSettings,
            tables.METRICS,
            "stages.nodes.proposal_train",
            {"images": _IMAGES, "parts": Role(("parts",), is_list=True), "model": _NETWORK},
            unit="whole",
            writes_model=True,
            is_training=True,
            version=3,
        ),
        Stage(
            "proposals",
            "store the proposals of every image",
            settings.ProposalsSettings,
            tables.PROPOSALS,
            "stages.nodes.proposals",
            {"images": _IMAGES, "model": Role((MODEL,))},
        ),
        Stage(
            "ranking",
            "cluster the segments of each object class",
            settings.RankingSettings,
            tables.CLUSTERS,
            "stages.nodes.ranking",
            {"images": _IMAGES, "objects": Role(("objects",)), "segments": _SEGMENTS},
            unit="bucket",
            version=2,
        ),
        Stage(
            "labels",
            "label the segments of every object with clusters",
            settings.LabelsSettings,
            tables.LABELS,
            "stages.nodes.labels",
            {"images": _IMAGES, "objects": Role(("objects",)), "segments": _SEGMENTS, "clusters": Role(("clusters",))},
            version=2,
        ),
        Stage(
            "distill-train",
            "train the final model on the labels",
            settings.DistillTrainSettings,
            tables.METRICS,
            "stages.nodes.distill_train",
            {"images": _IMAGES, "labels": Role(("labels",)), "model": _NETWORK},
            unit="whole",
            writes_model=True,
            is_training=True,
            version=3,
        ),
        Stage(
            "predict",
            "find the parts of every image with the final model",
            settings.PredictSettings,
            tables.PREDICTIONS,
            "stages.nodes.predict",
            {"images": _IMAGES, "model": Role((MODEL,)), "objects": Role(("objects",), is_optional=True)},
            version=3,
        ),
        Stage(
            "part-train",
            "train a supervised part segmenter on parts that people drew",
            settings.PartTrainSettings,
            tables.METRICS,
            "stages.nodes.part_train",
            {"images": _IMAGES, "parts": Role(("parts",)), "model": _NETWORK},
            unit="whole",
            version=2,
            writes_model=True,
            is_training=True,
        ),
        Stage(
            "eval",
            "score parts against ground truth",
            settings.EvalSettings,
            tables.METRICS,
            "stages.nodes.evaluate",
            {
                "images": _IMAGES,
                "truth": Role(("parts",)),
                "truth_objects": Role(("objects",), is_optional=True),
                "predicted": _MASKED,
                "segments": Role(("proposals", "parts"), is_optional=True),
            },
            unit="whole",
            version=2,
        ),
    )
}
