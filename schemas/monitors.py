"""Quality monitors that need no ground truth: SQL views over the tables, in ``pd sql`` and in ``pd report``.

A class is identified by its id, since several classes may share a name; ``category_id`` is -1 for a word outside the
vocabulary. NaN is tested with ``isfinite``: DuckDB answers ``isnan`` from Parquet's statistics, which leave NaN out, so
``isnan`` is never true.
"""

from __future__ import annotations

from collections.abc import Mapping

from pdstore import Column, View

__all__ = ["MONITORS"]

_NODE = Column("node", "string", "node that wrote the rows")
_CLASS = (
    Column("category_id", "int32", "class_id of the object's class"),
    Column("class_name", "string", "name of the object's class"),
)

_MASKS = ("objects", "parts", "proposals", "labels", "predictions")
_PER_OBJECT = ("parts", "labels", "predictions")


def _all_of(columns: str, tables: tuple[str, ...] = _MASKS) -> str:
    return " UNION ALL BY NAME ".join(f"SELECT {columns} FROM {table}" for table in tables)


def _named(rows: str) -> str:
    """The rows of a query with a column category_id, plus the name of that class in the vocabulary."""
    named = "SELECT unnamed.*, coalesce(classes.class_name, '') AS class_name"
    return f"{named} FROM ({rows}) AS unnamed LEFT JOIN classes ON classes.class_id = unnamed.category_id"


PARTS_PER_OBJECT = View(
    "parts_per_object",
    "Objects by their number of parts; objects without parts are left out. If most objects have one part, the stage "
    "does not divide them; if most have many, it shatters them.",
    (
        _NODE,
        *_CLASS,
        Column("parts", "int64", "number of parts of an object"),
        Column("objects", "int64", "number of objects of the class with that many parts"),
    ),
    f"""
WITH counted AS (
    SELECT node, category_id, image_id, object_id, count(*) AS parts
    FROM ({_all_of("node, category_id, image_id, object_id", _PER_OBJECT)}) GROUP BY ALL
)
SELECT node, category_id, class_name, parts, count(*) AS objects FROM ({_named("FROM counted")}) GROUP BY ALL
ORDER BY node, category_id, parts
""",
)

SCORE_HISTOGRAM = View(
    "score_histogram",
    "Masks by score, in steps of 0.05. If all are at one end, the score says nothing and no threshold will help.",
    (
        _NODE,
        Column("score_from", "float64", "lower end of the step"),
        Column("score_to", "float64", "upper end of the step; the score 1 belongs to the last step"),
        Column("masks", "int64", "number of masks in the step"),
    ),
    f"""
SELECT node, step / 20 AS score_from, (step + 1) / 20 AS score_to, count(*) AS masks
FROM (SELECT node, least(floor(score::DOUBLE * 20), 19) AS step FROM ({_all_of("node, score")}))
GROUP BY ALL ORDER BY node, score_from
""",
)

AREA_HISTOGRAM = View(
    "area_histogram",
    "Masks by their share of the image, in steps of a factor of two, down to 2^-16. Specks and masks of the "
    "whole image are seldom parts.",
    (
        _NODE,
        Column("share_from", "float64", "masks of the step have a larger share of the image than this"),
        Column("share_to", "float64", "and at most this share"),
        Column("masks", "int64", "number of masks in the step"),
    ),
    f"""
WITH shares AS (
    SELECT node, greatest(area, 1) / (height::DOUBLE * width) AS share FROM ({_all_of("node, area, height, width")})
)
SELECT node, power(2, step - 1) AS share_from, power(2, step) AS share_to, count(*) AS masks
FROM (SELECT node, greatest(ceil(log2(share)), -15) AS step FROM shares) GROUP BY ALL ORDER BY node, share_from
""",
)

CRF_CHANGES = View(
    "crf_changes",
    "What the CRF changed. If it is next to nothing, the CRF could be left out; if it is a large share, the CRF "
    "overrules the grouping.",
    (
        _NODE,
        *_CLASS,
        Column("parts", "int64", "number of parts after the CRF"),
        Column("pixels_changed", "float64", "share of their pixels that had another label before the CRF"),
        Column("parts_untouched", "int64", "number of parts without a changed pixel"),
        Column("parts_remade", "int64", "number of parts of which more than half has changed"),
    ),
    f"""
SELECT node, category_id, class_name, count(*) AS parts,
    sum(changed::DOUBLE * area) / sum(area) AS pixels_changed,
    count(*) FILTER (changed = 0) AS parts_untouched,
    count(*) FILTER (changed > 0.5) AS parts_remade
FROM ({_named("FROM parts")}) WHERE isfinite(changed) GROUP BY ALL ORDER BY node, category_id
""",
)

CLUSTER_SIZES = View(
    "cluster_sizes",
    "The clusters of each class. A silhouette near 0 means that the cluster is not separate from its neighbour.",
    (
        _NODE,
        *_CLASS,
        Column("cluster", "int32", "part number within the class"),
        Column("size", "int64", "number of segments in the cluster"),
        Column("share", "float64", "share of the segments of the class"),
        Column("mean_distance", "float32", "mean Euclidean distance of its members to the centroid"),
        Column("silhouette", "float32", "mean silhouette of a sample of its members; NULL if it has no members"),
    ),
    f"""
SELECT node, category_id, class_name, cluster, size,
    size / nullif(sum(size) OVER (PARTITION BY node, category_id), 0)::DOUBLE AS share,
    mean_distance, CASE WHEN isfinite(silhouette) THEN silhouette END AS silhouette
FROM ({_named("FROM clusters")}) ORDER BY node, category_id, cluster
""",
)

CLUSTER_COLLAPSE = View(
    "cluster_collapse",
    "Whether the clusters of a class collapsed into one: they did if largest_share is near 1, or evenness near 0.",
    (
        _NODE,
        *_CLASS,
        Column("clusters", "int64", "number of clusters of the class"),
        Column("empty", "int64", "number of clusters without segments"),
        Column("segments", "int64", "number of segments that were clustered"),
        Column("largest_share", "float64", "share of the segments in the largest cluster"),
        Column("evenness", "float64", "entropy of the sizes relative to equal sizes: 1 is even, 0 is one cluster"),
        Column("silhouette", "float64", "mean of the clusters' silhouettes, weighted by size"),
    ),
    """
SELECT node, category_id, class_name, count(*) AS clusters, count(*) FILTER (size = 0) AS empty,
    sum(size)::BIGINT AS segments, max(share) AS largest_share,
    greatest(-sum(share * ln(greatest(share, 1e-300))) / ln(nullif(count(*), 1)), 0) AS evenness,
    sum(size * silhouette::DOUBLE) / nullif(sum(size) FILTER (silhouette IS NOT NULL), 0) AS silhouette
FROM cluster_sizes GROUP BY ALL ORDER BY node, category_id
""",
)

CLUSTER_USE = View(
    "cluster_use",
    "How often each cluster is used after ranking. A cluster in labels but not in predictions was not learnt.",
    (
        _NODE,
        *_CLASS,
        Column("cluster", "int32", "part number within the class"),
        Column("masks", "int64", "number of masks with this cluster"),
        Column("share", "float64", "share of the masks of the class"),
        Column("mean_area", "float64", "mean share of the image that a mask covers"),
    ),
    f"""
WITH counted AS (
    SELECT node, category_id, cluster, count(*) AS masks, avg(area / (height::DOUBLE * width)) AS mean_area
    FROM ({_all_of("node, category_id, cluster, area, height, width", ("labels", "predictions"))}) GROUP BY ALL
)
SELECT node, category_id, class_name, cluster, masks,
    masks / sum(masks) OVER (PARTITION BY node, category_id)::DOUBLE AS share, mean_area
FROM ({_named("FROM counted")}) ORDER BY node, category_id, cluster
""",
)

COVERAGE = View(
    "coverage",
    "What a node makes of each of its inputs, in the blocks that it has committed. In images that are dropped "
    "without a reason, nothing passed the node's thresholds.",
    (
        Column("node", "string", "node that reads"),
        Column("role", "string", "role of the input"),
        Column("source", "string", "node that is read"),
        Column("images_in", "int64", "images with rows of the source"),
        Column("images_out", "int64", "of those, images with rows of the node"),
        Column("dropped", "int64", "of those, images without rows of the node"),
        Column("with_reason", "int64", "dropped images with a row of errors"),
        Column("objects_in", "int64", "objects with rows of the source; 0 if its rows have no object"),
        Column("objects_out", "int64", "objects with rows of the node"),
        Column("rows_in", "int64", "number of rows of the source"),
        Column("rows_out", "int64", "number of rows of the node, in the same images"),
    ),
    f"""
WITH counted AS (
    SELECT node, image_id, count(*) AS n, count(DISTINCT object_id) AS objects FROM (
        SELECT node, image_id FROM images
        UNION ALL BY NAME {_all_of("node, image_id, object_id", ("objects", *_PER_OBJECT))}
        UNION ALL BY NAME {_all_of("node, image_id", ("proposals",))}
    ) GROUP BY ALL
), inputs AS (
    SELECT node, layer, block_size, role,
        unnest(string_split(identity->>('$.upstream."' || role || '"'), ',')) AS source
    FROM (
        SELECT *, unnest(json_keys(identity, '$.upstream')) AS role FROM layers
        WHERE is_current AND table_name IN {_MASKS}
    )
), edges AS (
    SELECT inputs.node, inputs.layer, inputs.block_size, role, layers.node AS source
    FROM inputs JOIN layers ON layers.layer = inputs.source AND layers.is_current
), refused AS (SELECT DISTINCT node, image_id FROM errors)
SELECT edges.node, edges.role, edges.source, count(*) AS images_in, count(own.image_id) AS images_out,
    count(*) - count(own.image_id) AS dropped,
    count(refused.image_id) FILTER (own.image_id IS NULL) AS with_reason,
    sum(given.objects)::BIGINT AS objects_in, coalesce(sum(own.objects), 0)::BIGINT AS objects_out,
    sum(given.n)::BIGINT AS rows_in, coalesce(sum(own.n), 0)::BIGINT AS rows_out
FROM edges
JOIN counted AS given ON given.node = edges.source
JOIN commits ON commits.node = edges.node AND commits.layer = edges.layer
    AND commits.unit = given.image_id // edges.block_size
LEFT JOIN counted AS own ON own.node = edges.node AND own.image_id = given.image_id
LEFT JOIN refused ON refused.node = edges.node AND refused.image_id = given.image_id
GROUP BY ALL ORDER BY edges.node, edges.role, edges.source
""",
)

DROPPED = View(
    "dropped",
    "What each node had to leave out, and why.",
    (
        _NODE,
        Column("reason", "string", "short code, such as truncated, no_object, too_few_points"),
        Column("images", "int64", "number of images with this reason"),
        Column("rows", "int64", "number of rows of errors: images, objects, or classes"),
        Column("example", "string", "subject of one of the rows"),
        Column("detail", "string", "what was expected and what was found in that example"),
    ),
    """
SELECT node, reason, count(DISTINCT image_id) FILTER (image_id >= 0) AS images, count(*) AS rows,
    min(subject) AS example, arg_min(detail, subject) AS detail
FROM errors GROUP BY ALL ORDER BY node, images DESC, reason
""",
)

MONITORS: Mapping[str, View] = {
    view.name: view
    for view in (
        PARTS_PER_OBJECT,
        SCORE_HISTOGRAM,
        AREA_HISTOGRAM,
        CRF_CHANGES,
        CLUSTER_SIZES,
        CLUSTER_COLLAPSE,
        CLUSTER_USE,
        COVERAGE,
        DROPPED,
    )
}
