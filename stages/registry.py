"""The declaration of every stage: its settings, its inputs, the table it writes, the unit it commits, and its code.

The code is imported only when a stage runs, so that ``pd --help`` loads neither torch nor Zarr.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pdstore.table import Table
from schemas import stages as settings
from schemas import tables, training
from schemas.base import Settings

if TYPE_CHECKING:
    from stages.unit import Output, Setup, Unit

__all__ = ["BUCKET_SIZE", "CLASS_NAMES", "CONFUSION", "MODEL", "PART_NAMES", "STAGES", "Role", "Stage"]

MODEL = "model"
"""The pseudo-table of an input that is a trained network."""

CLASS_NAMES = "classes.json"
"""The file beside a segmenter's weights that names its output classes."""

BUCKET_SIZE = 64
"""Classes per unit of a stage whose unit is a bucket."""

CONFUSION = "confusion.json"
"""The file beside an evaluation's rows that holds the confusion of each object class's parts, in pixels."""

PART_NAMES = "parts.json"
"""The file beside a supervised part segmenter's weights that lists the [category, part] of each output class."""


@dataclass(frozen=True)
class Role:
    """An input: which tables it accepts, whether it may be left out, and whether it may name several nodes."""

    tables: tuple[str, ...]
    is_optional: bool = False
    is_list: bool = False


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The declaration of a stage.

    Attributes:
        version: raised whenever the same settings would give different results.
        unit: ``block``; ``bucket`` of ``BUCKET_SIZE`` classes; or ``whole``.
        entry: module with ``start(settings, setup) -> (unit -> output)``.
        writes_model: its output is a network, stored in the extra files of its only unit.
        is_training: it learns in steps and resumes from checkpoints.
        reads_listing: its units receive the listed images instead of rows of ``images``.
        uses_network: it computes with torch, on a GPU if there is one; all other stages run on the CPU and do not
            load torch.
        is_truth: its rows were drawn by people; evaluations score against them.
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
    uses_network: bool = False
    is_truth: bool = False

    def num_units(self, blocks: int, classes: int) -> int:
        """How many units a node has in a store with this many blocks and classes."""
        return {"block": blocks, "bucket": -(-classes // BUCKET_SIZE), "whole": 1}[self.unit]

    @property
    def is_barrier(self) -> bool:
        """True if each unit needs its whole input."""
        return self.unit != "block"

    def load(self) -> Callable[[Any, Setup], Callable[[Unit], Output]]:
        """Import the stage's code. Raises ImportError if a package is missing."""
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
            name="ingest",
            doc="read the image files",
            settings=settings.IngestSettings,
            output=tables.IMAGES,
            entry="stages.nodes.ingest",
            version=2,
            reads_listing=True,
        ),
        Stage(
            name="weights",
            doc="import published weights",
            settings=settings.WeightsSettings,
            output=tables.METRICS,
            entry="stages.nodes.weights",
            unit="whole",
            writes_model=True,
        ),
        Stage(
            name="annotated-objects",
            doc="object masks that people drew",
            settings=settings.AnnotationsSettings,
            output=tables.OBJECTS,
            entry="stages.nodes.annotated_objects",
            inputs={"images": _IMAGES},
            version=2,
            is_truth=True,
        ),
        Stage(
            name="annotated-parts",
            doc="part masks that people drew",
            settings=settings.AnnotationsSettings,
            output=tables.PARTS,
            entry="stages.nodes.annotated_parts",
            inputs={"images": _IMAGES},
            version=3,
            is_truth=True,
        ),
        Stage(
            name="segmenter-train",
            doc="train a small object segmenter",
            settings=training.SegmenterTrainSettings,
            output=tables.METRICS,
            entry="stages.nodes.segmenter_train",
            inputs={"images": _IMAGES, "objects": Role(("objects",))},
            unit="whole",
            writes_model=True,
            is_training=True,
            version=3,
            uses_network=True,
        ),
        Stage(
            name="detic",
            doc="find object masks",
            settings=settings.DeticSettings,
            output=tables.OBJECTS,
            entry="stages.nodes.detic",
            inputs={"images": _IMAGES, "model": _NETWORK},
            uses_network=True,
        ),
        Stage(
            name="grouping",
            doc="group the pixels of objects into parts",
            settings=settings.GroupingSettings,
            output=tables.PARTS,
            entry="stages.nodes.grouping",
            inputs={"images": _IMAGES, "objects": Role(("objects",)), "model": _NETWORK},
            version=2,
            uses_network=True,
        ),
        Stage(
            name="crf",
            doc="smooth parts with a dense CRF",
            settings=settings.CrfStageSettings,
            output=tables.PARTS,
            entry="stages.nodes.crf",
            inputs={"images": _IMAGES, "parts": Role(("parts",))},
            version=2,
        ),
        Stage(
            name="proposal-train",
            doc="train the class-agnostic part-proposal model",
            settings=training.ProposalTrainSettings,
            output=tables.METRICS,
            entry="stages.nodes.proposal_train",
            inputs={"images": _IMAGES, "parts": Role(("parts",), is_list=True), "model": _NETWORK},
            unit="whole",
            writes_model=True,
            is_training=True,
            version=4,
            uses_network=True,
        ),
        Stage(
            name="proposals",
            doc="store the proposals of every image",
            settings=settings.ProposalsSettings,
            output=tables.PROPOSALS,
            entry="stages.nodes.proposals",
            inputs={"images": _IMAGES, "model": Role((MODEL,))},
            uses_network=True,
        ),
        Stage(
            name="ranking",
            doc="cluster the segments of each object class",
            settings=settings.RankingSettings,
            output=tables.CLUSTERS,
            entry="stages.nodes.ranking",
            inputs={"images": _IMAGES, "objects": Role(("objects",)), "segments": _SEGMENTS},
            unit="bucket",
            version=2,
        ),
        Stage(
            name="labels",
            doc="label the segments of every object with clusters",
            settings=settings.LabelsSettings,
            output=tables.LABELS,
            entry="stages.nodes.labels",
            inputs={
                "images": _IMAGES,
                "objects": Role(("objects",)),
                "segments": _SEGMENTS,
                "clusters": Role(("clusters",)),
            },
            version=2,
        ),
        Stage(
            name="distill-train",
            doc="train the final model on the labels",
            settings=training.DistillTrainSettings,
            output=tables.METRICS,
            entry="stages.nodes.distill_train",
            inputs={"images": _IMAGES, "labels": Role(("labels",)), "model": _NETWORK},
            unit="whole",
            writes_model=True,
            is_training=True,
            version=4,
            uses_network=True,
        ),
        Stage(
            name="predict",
            doc="find the parts of every image with the final model",
            settings=settings.PredictSettings,
            output=tables.PREDICTIONS,
            entry="stages.nodes.predict",
            inputs={"images": _IMAGES, "model": Role((MODEL,)), "objects": Role(("objects",), is_optional=True)},
            version=3,
            uses_network=True,
        ),
        Stage(
            name="part-train",
            doc="train a supervised part segmenter on parts that people drew",
            settings=training.PartTrainSettings,
            output=tables.METRICS,
            entry="stages.nodes.part_train",
            inputs={"images": _IMAGES, "parts": Role(("parts",)), "model": _NETWORK},
            unit="whole",
            version=3,
            writes_model=True,
            is_training=True,
            uses_network=True,
        ),
        Stage(
            name="eval",
            doc="score parts against ground truth",
            settings=settings.EvalSettings,
            output=tables.METRICS,
            entry="stages.nodes.evaluate",
            inputs={
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
