"""A store of hand-made layers, and people who judge them: a detector, a ranking, its labels, a model of the labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pdstore import Identity, Rows, Store, StoreInfo, Table, layout
from pdstore.blockfile import parquet_bytes
from pdstore.judgements import Subject, add_judgement
from schemas import tables
from schemas.catalog import catalog_of
from tests.schemas.test_monitors import _filled

__all__ = ["Judged"]


class Judged:
    """A store with layers of hand-made rows, and what two people say of it."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.create(str(folder), StoreInfo(8, 0, {}))
        self.current: dict[str, str] = {}
        classes = [{"class_id": n, "wnid": name, "class_name": name} for n, name in enumerate(("cat", "dog"))]
        rows = Rows.from_records(tables.CLASSES, classes)
        self.store.files.write(layout.CLASSES, parquet_bytes(rows.to_arrow()))
        self.put("ingest", tables.IMAGES, [{"image_id": i, "key": f"{i}.jpg"} for i in range(3)])
        keys = [{"image_id": i, "object_id": o} for i in range(3) for o in range(2)]
        self.put("detic", tables.OBJECTS, keys, images="ingest")
        self.put("crf", tables.PARTS, [k | {"part_id": 0, "part_name": "true"} for k in keys], objects="detic")
        clusters = [{"category_id": c, "cluster": n} for c in range(2) for n in range(4)]
        self.put("ranking", tables.CLUSTERS, clusters, candidates="crf")
        scores = [0.05 if n == 0 else 0.9 for n in range(4)]
        labels = [
            k | {"label_id": n, "category_id": 0, "cluster": n, "score": scores[n]} for k in keys for n in range(4)
        ]
        self.put("labels", tables.LABELS, labels, objects="detic", clusters="ranking")
        self.put("train", tables.METRICS, [], labels="labels")
        self.put("predict", tables.PREDICTIONS, [{**x, "part_name": "taught"} for x in labels[:4]], model="train")
        self.put("other", tables.LABELS, labels, objects="ingest", clusters="ingest")
        self.store.files.write(layout.PIPELINE, json.dumps({"current": self.current}).encode())

    def put(self, node: str, table: Table, records: list[dict[str, Any]], **upstream: str) -> None:
        sources = {role: self.current[name] for role, name in upstream.items()}
        layer = self.store.declare(node, Identity(node, 1, {}, {}, sources), table, "test")
        self.current[node] = layer.fingerprint
        layer.commit(0, Rows.from_records(table, [_filled(table, r) for r in records]))

    def say(
        self, kind: str, node: str = "", *, who: str = "ann", into: int = -1, undoes: int = -1, **about: Any
    ) -> int:
        value = about.pop("value", "")
        subjects = [Subject(node, self.current[node], **about)] if node else []
        said = add_judgement(self.store.files, who, kind, subjects, value=value, into_cluster=into, undoes=undoes)
        return said.number

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in catalog_of(self.store).query(sql).to_pylist()]

    def kept(self, table: str, columns: str = "image_id, object_id") -> list[tuple[Any, ...]]:
        return self.ask(f"SELECT {columns} FROM {table}_kept WHERE node <> 'other' ORDER BY ALL")
