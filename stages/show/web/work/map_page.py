"""The page of the feature map, its points as JSON, and the same as a Parquet file for Embedding Atlas."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from starlette.responses import JSONResponse, Response

from schemas.judgements import ROW_NUMBERS
from stages.kernels.pictures import colour_of
from stages.show.web.page import Visit
from stages.show.web.work.classes import number_of
from stages.show.web.work.feature_map import FeatureMap, feature_nodes, methods, read_map

__all__ = ["atlas_table", "show_atlas", "show_map", "show_points"]

MAX_CLASSES = 2000


def show_map(visit: Visit) -> Response:
    """``/map?node=candidates&class=3&method=pca``: the page; the points follow as JSON."""
    nodes = [name for name in feature_nodes(visit.snapshot) if visit.snapshot.layer(name).units()]
    preferred = [n for n in nodes if visit.snapshot.project[n].stage.output.name == "candidates"]
    node = visit.query.get("node", "") or next(iter([*preferred, *nodes]), "")
    classes = visit.snapshot.rows("SELECT class_id, class_name FROM classes ORDER BY 2", [], MAX_CLASSES)
    table = visit.snapshot.project[node].stage.output.name if node else "candidates"
    return visit.html(
        "map.html",
        nodes=nodes,
        node=node,
        classes=classes,
        category=visit.query.get("class", ""),
        methods=methods(),
        method=visit.query.get("method", "pca"),
        number=ROW_NUMBERS.get(table, "segment_id"),
        table=table,
    )


def show_points(visit: Visit) -> Response:
    """``/map/points``, with the query of the page."""
    found = _map(visit)
    names = _names(visit, found)
    groups = sorted(set(found.groups.tolist()))
    values = {
        "x": np.round(found.places[:, 0], 4).tolist(),
        "y": np.round(found.places[:, 1], 4).tolist(),
        "groups": found.groups.tolist(),
        "keys": found.keys.tolist(),
        "legend": [[g, _label(g, names.get(g, ""), found.is_by_cluster), _hex(g)] for g in groups],
    }
    return JSONResponse(values)


def show_atlas(visit: Visit) -> Response:
    """``/map/atlas.parquet``, with the query of the page."""
    sink = io.BytesIO()
    pq.write_table(atlas_table(visit, _map(visit)), sink, compression="zstd")
    headers = {"Content-Disposition": 'attachment; filename="atlas.parquet"'}
    return Response(sink.getvalue(), media_type="application/vnd.apache.parquet", headers=headers)


def atlas_table(visit: Visit, found: FeatureMap) -> pa.Table:
    """One row per segment: x, y, id (image/object/number), the numbers, class or cluster, and the image's key."""
    ids = np.unique(found.keys[:, 0]).tolist()
    sql = "SELECT image_id, key, class_name FROM images WHERE image_id IN (SELECT unnest(?))"
    images = {row["image_id"]: row for row in visit.snapshot.rows(sql, [ids])}
    names, none = _names(visit, found), {"key": "", "class_name": ""}
    of_row = [images.get(i, none) for i in found.keys[:, 0].tolist()]
    return pa.table(
        {
            "id": ["/".join(map(str, key)) for key in found.keys.tolist()],
            "x": found.places[:, 0],
            "y": found.places[:, 1],
            "image_id": found.keys[:, 0],
            "object_id": found.keys[:, 1],
            "number": found.keys[:, 2],
            "group": [names.get(g, str(g)) or str(g) for g in found.groups.tolist()],
            "class_name": [row["class_name"] for row in of_row],
            "key": [row["key"] for row in of_row],
        }
    )


def _map(visit: Visit) -> FeatureMap:
    text = visit.query.get("class", "")
    category_id = number_of(text, is_signed=True) if text else None
    return read_map(visit.snapshot, visit.query.get("node", ""), category_id, visit.query.get("method", "pca"))


def _names(visit: Visit, found: FeatureMap) -> dict[int, str]:
    if not found.is_by_cluster:
        rows = visit.snapshot.rows("SELECT class_id AS n, class_name AS name FROM classes")
    else:
        sql = """SELECT DISTINCT cluster AS n, name FROM cluster_names JOIN lineage USING (layer)
            WHERE category_id = ? AND ancestor = ? AND name <> ''"""
        layer = visit.snapshot.layer(visit.query.get("node", "")).fingerprint
        rows = visit.snapshot.rows(sql, [number_of(visit.query.get("class", ""), is_signed=True), layer])
    return {row["n"]: row["name"] for row in rows}


def _label(number: int, name: str, is_cluster: bool) -> str:
    """The name; that of a cluster with its number, since clusters that were merged share a name."""
    if not is_cluster:
        return name
    return f"{name} ({number})" if name else f"part {number}"


def _hex(number: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour_of(max(int(number), 0)))
