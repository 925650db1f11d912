"""A store in the real layout in which every node is done: many blocks, few rows per block, written directly.

Its manifests are those of real blocks, with all files that a block has, and are valid; but only the Parquet files are
there, since the benchmarks that use it read no masks. Two tables are drawn block by block, with the image ids of the
block; the blocks of all others hold the same bytes.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pdstore import Layer, Ragged, Rows, Store, Table, layout
from pdstore.blockfile import ROWS, pack, parquet_bytes
from pdstore.commit import FileEntry, inputs_digest
from pdstore.files import Files
from pdstore.fingerprint import digest
from pdstore.records import keep_digest, write_with_digest
from schemas.pipeline import PipelineSpec, SourceSpec
from schemas.tables import CLASSES
from stages.create.store import create_store
from stages.plan.project import Project

__all__ = ["BLOCK_NODES", "filled_store"]

NUM_CLASSES = 1000
MASK_BYTES, FEATURES, MASKS_PER_IMAGE = 120, 16, 4
DRAWN = {"images", "parts"}
"""Tables whose blocks differ."""


def _spec(block_size: int, nodes: Iterable[str]) -> PipelineSpec:
    images = {"images": "ingest"}
    detic = {"stage": "detic", "settings": {"backend": "saliency"}}
    grouping = {"stage": "grouping", "settings": {"backend": "pixels"}}
    known: dict[str, dict[str, Any]] = {
        "ingest": {},
        "detic": {**detic, "inputs": images},
        "detic-human": {**detic, "inputs": images, "settings": {"backend": "saliency", "max_objects": 3}},
        "detic-all": {**detic, "inputs": images, "settings": {"backend": "saliency", "max_objects": 9}},
        "grouping": {**grouping, "inputs": {**images, "objects": "detic"}},
        "grouping-human": {**grouping, "inputs": {**images, "objects": "detic-human"}},
        "grouping-all": {**grouping, "inputs": {**images, "objects": "detic-all"}},
        "crf": {"stage": "crf", "inputs": {**images, "parts": "grouping"}},
        "crf-human": {"stage": "crf", "inputs": {**images, "parts": "grouping-human"}},
        "proposal-train": {"inputs": {**images, "parts": ["crf", "crf-human"]}, "settings": {"steps": 10}},
        "proposals": {"inputs": {**images, "model": "proposal-train"}},
        "proposals-sure": {
            "stage": "proposals",
            "inputs": {**images, "model": "proposal-train"},
            "settings": {"min_score": 0.5},
        },
        "crf-all": {"stage": "crf", "inputs": {**images, "parts": "grouping-all"}},
    }
    chosen = set(nodes)
    spec = {"description": "filled", "block_size": block_size, "seed": 0}
    return PipelineSpec.parse({**spec, "nodes": {n: known[n] for n in known if n in chosen}}, "filled")


BLOCK_NODES = (
    *("ingest", "detic", "detic-human", "detic-all", "grouping", "grouping-human", "grouping-all"),
    *("crf", "crf-human", "crf-all", "proposals", "proposals-sure"),
)
"""The nodes whose units are blocks."""


def filled_store(root: Path, blocks: int, block_size: int, left: Mapping[str, int] = {}) -> Store:
    """Write the store. Cost: 14,000 blocks take a few minutes.

    Args:
        left: node -> how many of its last units are not committed. If it is given, only its nodes are in the pipeline,
            all blocks are empty, and those of the last units have all their files, so that a run can read them.
    """
    photos = root.parent / f"{root.name}-images"
    (photos / "all").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48)).save(photos / "all" / "0.png")
    nodes = left or (*BLOCK_NODES, "proposal-train")
    source = SourceSpec(kind="folder", root=str(photos))
    store = create_store(str(root), source, _spec(block_size, nodes))
    _write_listing(root, blocks, block_size)
    project, content = Project.open(store), dict[str, dict[int, str]]()
    for name, node in project.nodes.items():
        layer = store.declare(name, node.identity, node.stage.output, "bench")
        block_rows = _rows(node.stage.output, 0 if left or node.stage.unit != "block" else block_size)
        read = [_read_of(project, name, content, role, names) for role, names in node.inputs.items()]
        units = range(project.num_units(name) - left.get(name, 0))
        content[name] = {}
        writer = _Writer(root, layer, block_rows, block_size, blocks - max(left.values(), default=0))
        for unit in units:
            inputs = {
                role: ",".join(part if isinstance(part, str) else part[unit] for part in parts) for role, parts in read
            }
            content[name][unit] = writer.write(unit, inputs)
    return store


class _Writer:
    """Writes the units of one layer."""

    def __init__(self, root: Path, layer: Layer, rows: Rows, shift: int, first_whole: int) -> None:
        self._root, self._layer, self._shift, self._first_whole = root, layer, shift, first_whole
        self._files, self._frame = pack(rows), rows.to_arrow()
        self._entries = {name: vars(FileEntry.of(data)) for name, data in self._files.items()}
        self._content = digest({name: entry["sha256"] for name, entry in self._entries.items()})
        self._is_drawn = layer.table.name in DRAWN and len(rows) > 0
        self._commits = root / layout.commits(layer.node, layer.fingerprint)
        for folder in (self._commits, root / layout.attempts(layer.node, layer.fingerprint)):
            folder.mkdir(parents=True)
        self._started = time.time()

    def write(self, unit: int, inputs: Mapping[str, str]) -> str:
        """Write a unit; returns the digest of its content."""
        layer, attempt = self._layer, secrets.token_hex(6)
        if self._is_drawn:
            ids = pa.array(np.asarray(self._frame.column("image_id")) + (unit * self._shift if unit else 0))
            at = self._frame.column_names.index("image_id")
            self._files[ROWS] = parquet_bytes(self._frame.set_column(at, "image_id", ids))
            self._entries[ROWS] = vars(FileEntry.of(self._files[ROWS]))
            self._content = digest({name: entry["sha256"] for name, entry in self._entries.items()})
        folder = self._root / layout.attempt(layer.node, layer.fingerprint, unit, attempt)
        folder.mkdir()
        for name in self._files if unit >= self._first_whole else (ROWS,):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(self._files[name])
        values: dict[str, Any] = {
            "node": layer.node,
            "layer": layer.fingerprint,
            "unit": unit,
            "attempt": attempt,
            "files": self._entries,
            "rows": {layer.table.name: len(self._frame)},
            "inputs": dict(inputs),
            "host": "bench",
            "pid": 1,
            "seconds": 1.0,
            "created": self._started,
            "format": 1,
        }
        values["digest"] = digest(values)
        (self._commits / f"{unit:05d}.json").write_text(json.dumps(values), encoding="utf-8")
        return self._content


def _read_of(
    project: Project, name: str, content: Mapping[str, Mapping[int, str]], role: str, names: Iterable[str]
) -> tuple[str, list[str | Mapping[int, str]]]:
    """For each input node of a role, what a unit reads of it: one digest for all units, or unit -> digest."""
    is_barrier = project[name].stage.is_barrier
    parts: list[str | Mapping[int, str]] = [
        inputs_digest(content[n]) if is_barrier or project[n].stage.is_barrier else content[n] for n in names
    ]
    return role, parts


def _rows(table: Table, images: int) -> Rows:
    """Random rows of the images 0, 1, …"""
    rng, per_image = np.random.default_rng(0), 1 if table.name == "images" else MASKS_PER_IMAGE
    count = images * per_image
    columns: dict[str, Any] = {}
    for c in table.columns:
        if c.layout == "ragged":
            columns[c.name] = Ragged.from_list(rng.bytes(MASK_BYTES) for _ in range(count))
        elif c.layout == "vector":
            columns[c.name] = rng.standard_normal((count, FEATURES)).astype(c.dtype)
        elif c.dtype == "string":
            columns[c.name] = [f"{c.name}-{v}" for v in rng.integers(0, NUM_CLASSES, count)]
        elif c.dtype.startswith("int"):
            columns[c.name] = rng.integers(0, NUM_CLASSES, count)
        else:
            columns[c.name] = rng.random(count) if c.dtype != "bool" else rng.random(count) < 0.5
    if "image_id" in columns:
        columns["image_id"] = np.repeat(np.arange(images), per_image)
    return Rows(table, columns)


def _write_listing(root: Path, blocks: int, block_size: int) -> None:
    schema = pa.schema([(name, pa.string()) for name in ("key", "split", "wnid")])
    with pq.ParquetWriter(root / layout.listing(0), schema, compression="zstd") as writer:
        for block in range(blocks):
            numbers = range(block * block_size, (block + 1) * block_size)
            wnids = [f"n{number % NUM_CLASSES:08d}" for number in numbers]
            keys = [f"train/{wnid}/{number}.jpg" for wnid, number in zip(wnids, numbers, strict=True)]
            writer.write_table(pa.table([keys, ["train"] * block_size, wnids], schema), block_size)
    names = [f"n{number:08d}" for number in range(NUM_CLASSES)]
    frame = pa.table([pa.array(range(NUM_CLASSES), pa.int32()), names, names], CLASSES.arrow_schema.names)
    files = Files(str(root))
    write_with_digest(files, layout.CLASSES, parquet_bytes(frame.cast(CLASSES.arrow_schema)))
    with files.open(layout.listing(0)) as listing:
        keep_digest(files, layout.listing(0), listing)
