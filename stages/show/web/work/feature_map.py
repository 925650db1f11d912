"""Features of segments as points in the plane, computed once per layer and kept in the user's cache.

PCA is always there; UMAP (McInnes et al., arXiv:1802.03426) if the package ``umap-learn`` is installed. At most
:data:`MAX_POINTS` segments are taken, from the first blocks: blocks are in random order, so these are a fair sample.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Rows
from pdstore.errors import InputMissing, UsageError
from pdstore.fingerprint import digest
from pdstore.slices.reader import Slices
from schemas.judgements import ROW_NUMBERS
from schemas.stages import RankingSettings
from stages.kernels.clustering.kmeans import closeness, unit_length
from stages.kernels.naming.place import NUM_PLACES
from stages.kernels.naming.scorer import SCORERS, unpack
from stages.show.web.snapshots import Snapshot

__all__ = ["MAX_POINTS", "FeatureMap", "feature_nodes", "methods", "pca", "read_map"]

CLASSES_PER_UNIT = RankingSettings().classes_per_unit
MAX_POINTS = 5000
MAX_SECONDS = 8.0
MAX_SLICED_BLOCKS = 2000
"""Blocks whose slices of a class are looked at: each costs one small read."""
VERSION = 1

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """N segments as points.

    Attributes:
        places: (N, 2) float32, each axis from 0 to 1.
        keys: (N, 3) int64: image_id, object_id (-1 if rows have no object) and the number of the row.
        groups: (N,) int64: the cluster if one class is shown and was ranked, otherwise the class; -1 for neither.
        is_by_cluster: what ``groups`` are.
    """

    places: Floats
    keys: Ints
    groups: Ints
    is_by_cluster: bool

    def __len__(self) -> int:
        return len(self.places)


def feature_nodes(snapshot: Snapshot) -> list[str]:
    """The nodes whose segments have features, in the pipeline's order."""
    nodes = snapshot.project.nodes.values()
    return [n.name for n in nodes if n.stage.output.name in ROW_NUMBERS and "feature" in n.stage.output.names]


def methods() -> tuple[str, ...]:
    """How features can be brought to the plane on this machine."""
    return ("pca", "umap") if importlib.util.find_spec("umap") else ("pca",)


def read_map(snapshot: Snapshot, node: str, category_id: int | None = None, method: str = "pca") -> FeatureMap:
    """The map of a node's segments, of one class or of all.

    Raises:
        UsageError: the node has no features, or the method is not there.
        InputMissing: there are fewer than three segments.
    """
    if node not in feature_nodes(snapshot):
        raise UsageError("the segments of this node have no features", node, f"Known: {feature_nodes(snapshot)}")
    if method not in methods():
        raise UsageError(f"expected {' or '.join(methods())}, found {method!r}", "method", "pip install umap-learn")
    layer = snapshot.layer(node)
    committed = digest(sorted(layer.commits().column("name")))
    path = _cache_file(digest([VERSION, layer.store.files.root, layer.fingerprint, committed, category_id, method]))
    found = _kept(path)
    if found is None:
        found = _computed(snapshot, layer, category_id, method)
        _keep(path, found)
    return found


def pca(features: Floats) -> Floats:
    """(N, D) -> (N, 2), the two directions of largest variance. Cost: O(N D^2) at most; signs are fixed."""
    centred = features - features.mean(0)
    # The covariance is smaller than the points.
    _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    places = np.zeros((len(features), 2), np.float32)
    places[:, : axes.shape[1]] = centred @ axes
    return places


def _computed(snapshot: Snapshot, layer: Layer, category_id: int | None, method: str) -> FeatureMap:
    keys, classes, features = _points(snapshot, layer, category_id)
    if len(keys) < 3:
        raise InputMissing(f"expected three segments or more, found {len(keys)}", layer.node, "Choose another class")
    # A candidate's place in its object is no part of its feature.
    shown = features[:, : -NUM_PLACES - 1] if layer.info.identity.settings.get("place") else features
    if method == "umap":
        reducer = importlib.import_module("umap").UMAP(random_state=0, n_jobs=1, n_neighbors=min(15, len(keys) - 1))
        places = np.asarray(reducer.fit_transform(shown), np.float32)
    else:
        places = pca(shown)
    low, high = places.min(0), places.max(0)
    clusters = _clusters(snapshot, layer, category_id, features)
    scaled = (places - low) / np.maximum(high - low, 1e-12)
    return FeatureMap(scaled.astype(np.float32), keys, classes if clusters is None else clusters, clusters is not None)


def _points(snapshot: Snapshot, layer: Layer, category_id: int | None) -> tuple[Ints, Ints, Floats]:
    """(keys, classes, features) of a sample."""
    if category_id is not None and layer.table.sliced_by == "category_id":
        return _sliced_points(snapshot, layer, category_id)
    end, parts, count = time.monotonic() + MAX_SECONDS, list[tuple[Ints, Ints, npt.NDArray[np.float16]]](), 0
    names = [n for n in _columns(layer) if n in layer.table.names]
    for unit in layer.units():
        rows = layer.read(unit, names)
        if category_id is not None and "category_id" in names:
            rows = rows.take(rows["category_id"] == category_id)
        if len(rows):
            parts.append((_keys(rows), _classes(rows), rows["feature"]))
        count += len(rows)
        if count >= MAX_POINTS or time.monotonic() >= end:
            break
    if not parts:
        return np.zeros((0, 3), np.int64), np.zeros(0, np.int64), np.zeros((0, 1), np.float32)
    keys, classes, features = (np.concatenate(column)[:MAX_POINTS] for column in zip(*parts, strict=True))
    return keys, classes, features.astype(np.float32)


def _sliced_points(snapshot: Snapshot, layer: Layer, category_id: int) -> tuple[Ints, Ints, Floats]:
    """The same from the slices of one class alone, which lie in the order of images, objects and segments."""
    size, units = snapshot.project.store.info.block_size, layer.units()[:MAX_SLICED_BLOCKS]
    number = ROW_NUMBERS[layer.table.name]
    sql = f"""
        SELECT image_id, object_id, {number} FROM {layer.table.name}_all
        WHERE layer = ? AND category_id = ? AND image_id < ? ORDER BY ALL"""
    last = (units[-1] + 1) * size if units else 0
    listed = snapshot.rows(sql, [layer.fingerprint, category_id, last], 4 * MAX_POINTS)
    keys = np.array([list(row.values()) for row in listed], np.int64).reshape(-1, 3)
    if not len(keys):
        return keys, np.zeros(0, np.int64), np.zeros((0, 1), np.float32)
    # Whole blocks, so that the slices are of the same rows; the last block of a long list may have been cut.
    blocks, counts = np.unique(keys[:, 0] // size, return_counts=True)
    is_cut = len(keys) == 4 * MAX_POINTS and len(blocks) > 1
    wanted = max(1, int(np.searchsorted(np.cumsum(counts), MAX_POINTS)) + 1)
    chosen = blocks[: min(wanted, len(blocks) - is_cut)].tolist()
    keys = keys[np.isin(keys[:, 0] // size, chosen)]
    slices = Slices(layer.store.files, layer, "feature")
    slices.open(chosen)
    features = slices.read(chosen, category_id, category_id + 1)[category_id].astype(np.float32)
    if len(features) != len(keys):
        raise InputMissing("the layer was computed again meanwhile", layer.node, "Load the page again")
    kept = slice(0, MAX_POINTS)
    return keys[kept], np.full(len(keys[kept]), category_id), features[kept]


def _clusters(snapshot: Snapshot, layer: Layer, category_id: int | None, features: Floats) -> Ints | None:
    """(N,) nearest cluster of the ranking that reads this layer; None if there is none, or all classes are shown."""
    if category_id is None:
        return None
    for node in snapshot.project.nodes.values():
        settings, made = node.settings, snapshot.layer(node.name)
        if (
            not isinstance(settings, RankingSettings)
            or layer.node not in node.upstream()
            or not (units := made.units())
        ):
            continue
        # The layer that is shown may be one of other settings.
        unit = category_id // made.info.identity.settings.get("classes_per_unit", CLASSES_PER_UNIT)
        if unit in units and SCORERS in made.manifest(unit).files:
            scorer = unpack(made.file(unit, SCORERS)).get(category_id)
            return None if scorer is None else scorer.clusters(features.astype(np.float16))
        for rows in made.scan(["category_id", "cluster", "centroid"]):
            own = rows.take(rows["category_id"] == category_id)
            if len(own):
                points = unit_length(features) if settings.normalize else features
                nearest = closeness(points, own["centroid"], settings.metric).argmax(1)
                return np.asarray(own["cluster"][nearest], np.int64)
    return None


def _columns(layer: Layer) -> tuple[str, ...]:
    return ("image_id", "object_id", ROW_NUMBERS[layer.table.name], "category_id", "feature")


def _keys(rows: Rows) -> Ints:
    objects = rows["object_id"] if "object_id" in rows.columns else np.full(len(rows), -1)
    return np.stack([rows["image_id"], objects, rows[ROW_NUMBERS[rows.table.name]]], 1).astype(np.int64)


def _classes(rows: Rows) -> Ints:
    return rows["category_id"].astype(np.int64) if "category_id" in rows.columns else np.full(len(rows), -1)


def _cache_file(name: str) -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "pdstore" / "maps" / f"{name[:32]}.npz"


def _kept(path: Path) -> FeatureMap | None:
    try:
        with np.load(path, allow_pickle=False) as found:
            return FeatureMap(found["places"], found["keys"], found["groups"], bool(found["is_by_cluster"]))
    except Exception:  # NumPy's parsers have many
        return None  # not there, or damaged: it is computed again


def _keep(path: Path, found: FeatureMap) -> None:
    sink = io.BytesIO()
    np.savez(
        sink, places=found.places, keys=found.keys, groups=found.groups, is_by_cluster=np.array(found.is_by_cluster)
    )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    # Without space or permission the map is computed again at the next visit.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(sink.getvalue())
        os.replace(temporary, path)
