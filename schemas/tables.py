"""What a row is: one declaration per table, which drives Zarr, Parquet, the SQL views and ``docs/tables.md``.

Masks are COCO compressed run lengths in a frame: the image (after EXIF orientation), scaled down if it is large. Every
row with a mask says its frame as ``height`` and ``width``, so that a block can be read without the image.
"""

from __future__ import annotations

from collections.abc import Mapping

from pdstore.table import Column, Table

__all__ = [
    "CANDIDATES",
    "CLASSES",
    "CLUSTERS",
    "ERRORS",
    "IMAGES",
    "LABELS",
    "LOSSES",
    "METRICS",
    "OBJECTS",
    "PARTS",
    "PREDICTIONS",
    "PROPOSALS",
    "PROXIES",
    "TABLES",
]

_IMAGE_ID = Column("image_id", "int64", "position of the image in the store")
_OBJECT_ID = Column("object_id", "int32", "number of the object within the image; 0 is the best")
_CATEGORY_ID = Column("category_id", "int32", "class_id of the object's class; -1 for a word outside the vocabulary")
_CATEGORY = Column("category_name", "string", "name of the object's class")
_SCORE = Column("score", "float32", "confidence, 0 to 1")
_MASK = (
    Column("area", "int64", "area of the mask, in pixels of its frame"),
    Column("height", "int32", "height of the mask's frame, in pixels; that of the image is in `images`"),
    Column("width", "int32", "width of the mask's frame, in pixels"),
    Column("rle", "uint8", "COCO compressed run lengths of the mask, in its frame", "ragged"),
)
_OBJECT_RATIO = Column("object_ratio", "float32", "area relative to the area of the object")

IMAGES = Table(
    "images",
    "One row per image that can be decoded.",
    (
        _IMAGE_ID,
        Column("key", "string", "path relative to the image folder"),
        Column("split", "string", "train, val, …: the top folder of an ImageNet tree, otherwise 'train'"),
        Column("wnid", "string", "external id of the class: a WordNet code, or the name of the folder"),
        Column("class_id", "int32", "position of the class in the store's vocabulary; -1 if the image has no class"),
        Column("class_name", "string", "name of the image's class"),
        Column("height", "int32", "height in pixels, after EXIF orientation"),
        Column("width", "int32", "width in pixels, after EXIF orientation"),
        Column("bytes", "int64", "size of the image file"),
        Column("mode", "string", "format and colour mode of the file, such as JPEG/RGB"),
        Column("orientation", "int32", "EXIF orientation of the file; 1 is upright"),
        Column("sha256", "string", "sha256 of the file"),
        Column("encoded", "uint8", "the file itself if images are copied into the store, otherwise empty", "ragged"),
    ),
)
CLASSES = Table(
    "classes",
    "The vocabulary: one row per class.",
    (
        Column("class_id", "int32", "position of the class in the vocabulary"),
        Column("wnid", "string", "WordNet code, or the name of the folder"),
        Column("class_name", "string", "name of the class"),
    ),
)
OBJECTS = Table("objects", "One row per object mask.", (_IMAGE_ID, _OBJECT_ID, _CATEGORY_ID, _CATEGORY, _SCORE, *_MASK))
PARTS = Table(
    "parts",
    "One row per part segment of an object.",
    (
        _IMAGE_ID,
        _OBJECT_ID,
        Column("part_id", "int32", "number of the segment within the object"),
        _CATEGORY_ID,
        _CATEGORY,
        Column("part_name", "string", "name of the part if a person gave one, otherwise empty"),
        _SCORE,
        _OBJECT_RATIO,
        Column("changed", "float32", "share of its pixels that had another label before the CRF; NaN without a CRF"),
        *_MASK,
        Column("feature", "float16", "mean backbone feature of the segment", "vector"),
    ),
)
PROPOSALS = Table(
    "proposals",
    "One row per part proposal: a query of the proposal model that scores above `min_score`.",
    (
        _IMAGE_ID,
        Column("proposal_id", "int32", "number of the query"),
        _SCORE,
        *_MASK,
        Column("feature", "float16", "feature of the query, after the decoder's norm", "vector"),
    ),
)
CANDIDATES = Table(
    "candidates",
    "One row per segment of an object that is clustered: one that passes every bound, by rising class.",
    (
        _IMAGE_ID,
        _OBJECT_ID,
        Column("segment_id", "int32", "number of the segment: its `proposal_id`, or its `part_id` within the object"),
        _CATEGORY_ID,
        _SCORE,
        Column("area", "int64", "pixels of the object that the segment covers, in the frame of the image's segments"),
        _OBJECT_RATIO,
        Column("feature", "float16", "feature of the segment; with the setting `place`, also its place", "vector"),
    ),
    sliced_by="category_id",
)
CLUSTERS = Table(
    "clusters",
    "One row per cluster of an object class, that is, per discovered part.",
    (
        _CATEGORY_ID,
        Column("cluster", "int32", "number of the part within the class"),
        Column("size", "int64", "number of segments in the cluster"),
        Column("mean_distance", "float32", "mean Euclidean distance of its members to the centroid"),
        Column("silhouette", "float32", "mean silhouette of a sample of its members, -1 to 1; NaN without members"),
        Column("centroid", "float32", "mean feature of its members", "vector"),
    ),
)
_LABELLED = (
    _IMAGE_ID,
    _OBJECT_ID,
    Column("label_id", "int32", "number of the mask within the object"),
    _CATEGORY_ID,
    Column("cluster", "int32", "number of the part within the object's class"),
    _SCORE,
    _OBJECT_RATIO,
    *_MASK,
)
LABELS = Table("labels", "One row per part pseudo-label: a mask and its cluster.", _LABELLED)
PREDICTIONS = Table(
    "predictions",
    "One row per part that a trained model predicts: a mask and its cluster.",
    (*_LABELLED, Column("part_name", "string", "name of the part if the model learnt names, otherwise empty")),
)
METRICS = Table(
    "metrics",
    "One row per number of an evaluation or a training step, or about weights.",
    (
        Column("evaluated", "string", "node that the number is about"),
        Column("protocol", "string", "honest, reference, train, or weights"),
        Column("metric", "string", "C-mIoU, AR@200, loss, …"),
        Column("class_name", "string", "object class; empty for all classes"),
        Column("part_name", "string", "part; empty for all parts"),
        Column("step", "int64", "training step; 0 for an evaluation"),
        Column("value", "float64", "the number"),
    ),
)
LOSSES = Table(
    "losses",
    "One row per step of the method: the score if the ground truth did the rest, and what the step costs.",
    (
        Column("position", "int32", "place in the ledger, from 0"),
        Column("evaluated", "string", "node whose masks are scored"),
        Column("step", "string", "objects, division, smoothing, choice, naming or distillation"),
        Column("given", "string", "what the ground truth gives: parts, names, or nothing (empty)"),
        Column("after", "string", "step that this one is compared with; empty if it is compared with 100 percent"),
        Column("miou", "float64", "C-mIoU, in percent"),
        Column("ar", "float64", "AR@n, with n of the setting `ar_limit`, in percent"),
        Column("lost", "float64", "mIoU of `after` minus `miou`: the points that the step costs; below 0 for a gain"),
    ),
)
PROXIES = Table(
    "proxies",
    "One row per proxy for a loss, measured without ground truth: of all classes, and of each object class.",
    (
        Column("evaluated", "string", "node whose segments or clusters are measured"),
        Column("step", "string", "step of the ledger of losses that it stands for: division or naming"),
        Column("proxy", "string", "silhouette, seeds, mirror, halves or k"),
        Column("class_name", "string", "object class; empty for the mean over all classes"),
        Column("samples", "int64", "number of objects, or of segments, that were grouped again"),
        Column("value", "float64", "at most 1; a silhouette, or an adjusted Rand index"),
    ),
)
ERRORS = Table(
    "errors",
    "One row per image, object, part, annotation or class that a node had to leave out, with the reason.",
    (
        Column("image_id", "int64", "the image; -1 if the row is about a class, or about an annotation of no image"),
        Column("subject", "string", "key of the image, or name of the class or of the annotation"),
        Column("reason", "string", "short code, such as truncated, no_object, too_few_points"),
        Column("detail", "string", "what was expected and what was found"),
    ),
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        IMAGES,
        CLASSES,
        OBJECTS,
        PARTS,
        PROPOSALS,
        CANDIDATES,
        CLUSTERS,
        LABELS,
        PREDICTIONS,
        METRICS,
        LOSSES,
        PROXIES,
        ERRORS,
    )
}
