"""Every stage, by its name.

The code of a stage is imported only when it runs, so that ``pd --help`` loads neither torch nor Zarr.
"""

from __future__ import annotations

from schemas import stages as settings
from schemas import tables
from stages.stage import MODEL, Role, Stage

__all__ = ["STAGES"]

_IMAGES = Role(("images",))
_NETWORK = Role((MODEL,), is_optional=True)
_SEGMENTS = Role(("proposals", "parts"))
_OBJECT_PARTS = Role(("parts",), is_optional=True)
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
            inputs={"images": _IMAGES, "objects": Role(("objects",), is_optional=True)},
            version=2,
            is_truth=True,
        ),
        Stage(
            name="annotated-parts",
            doc="part masks that people drew",
            settings=settings.AnnotationsSettings,
            output=tables.PARTS,
            entry="stages.nodes.annotated_parts",
            inputs={"images": _IMAGES, "parts": _OBJECT_PARTS},
            version=3,
            is_truth=True,
        ),
        Stage(
            name="annotated-labels",
            doc="part masks that people gave to clusters",
            settings=settings.AnnotationsSettings,
            output=tables.LABELS,
            entry="stages.nodes.annotated_labels",
            inputs={"images": _IMAGES, "labels": Role(("labels", "predictions"), is_optional=True)},
        ),
        Stage(
            name="segmenter-train",
            doc="train a small object segmenter",
            settings=settings.SegmenterTrainSettings,
            output=tables.METRICS,
            entry="stages.nodes.segmenter_train",
            inputs={"images": _IMAGES, "objects": Role(("objects",))},
            unit="whole",
            writes_model=True,
            is_training=True,
            version=5,
            uses_network=True,
        ),
        Stage(
            name="detic",
            doc="find object masks",
            settings=settings.DeticSettings,
            output=tables.OBJECTS,
            entry="stages.nodes.detic",
            version=2,
            inputs={"images": _IMAGES, "model": _NETWORK},
            late_settings=frozenset({"mode", "words", "max_objects", "min_score", "embeddings", "text_model"}),
            uses_network=True,
        ),
        Stage(
            name="grouping",
            doc="group the pixels of objects into parts",
            settings=settings.GroupingSettings,
            output=tables.PARTS,
            entry="stages.nodes.grouping",
            inputs={"images": _IMAGES, "objects": Role(("objects",)), "model": _NETWORK},
            version=4,
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
            settings=settings.ProposalTrainSettings,
            output=tables.METRICS,
            entry="stages.nodes.proposal_train",
            inputs={"images": _IMAGES, "parts": Role(("parts",), is_list=True), "model": _NETWORK},
            unit="whole",
            writes_model=True,
            is_training=True,
            version=7,
            uses_network=True,
        ),
        Stage(
            name="proposals",
            doc="store the proposals of every image",
            settings=settings.ProposalsSettings,
            output=tables.PROPOSALS,
            entry="stages.nodes.proposals",
            version=2,
            inputs={"images": _IMAGES, "model": Role((MODEL,))},
            uses_network=True,
        ),
        Stage(
            name="candidates",
            doc="choose the segments that are clustered",
            settings=settings.CandidatesSettings,
            output=tables.CANDIDATES,
            entry="stages.nodes.candidates",
            inputs={
                "images": _IMAGES,
                "objects": Role(("objects",)),
                "segments": _SEGMENTS,
                "parts": _OBJECT_PARTS,
            },
        ),
        Stage(
            name="ranking",
            doc="cluster the candidates of each object class",
            settings=settings.RankingSettings,
            output=tables.CLUSTERS,
            entry="stages.nodes.ranking",
            inputs={"candidates": Role(("candidates",))},
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
                "parts": _OBJECT_PARTS,
            },
            version=3,
        ),
        Stage(
            name="distill-train",
            doc="train the final model on the labels",
            settings=settings.DistillTrainSettings,
            output=tables.METRICS,
            entry="stages.nodes.distill_train",
            inputs={"images": _IMAGES, "labels": Role(("labels",)), "model": _NETWORK},
            unit="whole",
            writes_model=True,
            is_training=True,
            version=6,
            uses_network=True,
        ),
        Stage(
            name="predict",
            doc="find the parts of every image with the final model",
            settings=settings.PredictSettings,
            output=tables.PREDICTIONS,
            entry="stages.nodes.predict",
            inputs={"images": _IMAGES, "model": Role((MODEL,)), "objects": Role(("objects",), is_optional=True)},
            version=5,
            uses_network=True,
        ),
        Stage(
            name="part-train",
            doc="train a supervised part segmenter on parts that people drew",
            settings=settings.PartTrainSettings,
            output=tables.METRICS,
            entry="stages.nodes.part_train",
            inputs={"images": _IMAGES, "parts": Role(("parts",)), "model": _NETWORK},
            unit="whole",
            version=5,
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
