"""A Hugging Face dataset: the files of :mod:`stages.exchange.parquet` and a dataset card, which is the file README.md.

The card says what is in the files, what made them and how they are loaded. The license is left to the user, who knows
that of the images. Nothing is uploaded. Format: https://huggingface.co/docs/hub/datasets-cards
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from pdstore import layout
from pdstore.inventory import shown_layers
from stages.exchange.features import yaml_features
from stages.exchange.formats import Source
from stages.exchange.parquet import DATA, ParquetWriter

__all__ = ["HuggingFaceWriter", "Split", "card", "writer"]

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"
_WHAT = {
    "objects": "objects",
    "parts": "segments of the parts of objects",
    "proposals": "proposals of parts",
    "labels": "parts of objects, with the cluster of each part",
    "predictions": "parts of objects as a trained model predicts them",
}


@dataclass(frozen=True)
class Split:
    """What the files of a split hold."""

    name: str
    images: int
    masks: int
    num_bytes: int


def writer(source: Source) -> HuggingFaceWriter:
    return HuggingFaceWriter(source)


class HuggingFaceWriter(ParquetWriter):
    """The writer of Parquet files, which adds the card. Pictures are embedded unless the option says otherwise."""

    pictures = "embed"

    def finish(self, blocks: Sequence[Path], out: Path) -> None:
        super().finish(blocks, out)
        counts = Counter[str]()
        for block in blocks:
            counts.update(json.loads((block / "masks.json").read_text(encoding="utf-8")))
        splits = [_split(name, out / DATA, counts[name]) for name in self.splits(blocks)]
        features = yaml_features(self.columns, self.masks, self.names)
        (out / "README.md").write_text(card(self.source, features, splits, out), encoding="utf-8")


def card(source: Source, features: Sequence[Mapping[str, Any]], splits: Sequence[Split], out: Path) -> str:
    """The text of the card.

    Args:
        features: as :func:`stages.exchange.features.yaml_features` gives them.
        out: the output under its temporary name; its file names are the final ones.
    """
    node, images = source.layer.node, sum(split.images for split in splits)
    title = f"{node.capitalize()} of {images} images"
    rows = "\n".join(f"| {s.name} | {s.images} | {s.masks} |" for s in splits)
    identity = json.dumps({n: _identity(source, n) for n in _upstream(source)}, indent=1, ensure_ascii=False)
    first = splits[0].name if splits else "train"
    files = sorted(path.name for path in (out / DATA).glob(f"{first}-*"))
    return _CARD.format(
        header=yaml.safe_dump(_header(title, features, splits, images), sort_keys=False, allow_unicode=True, width=120),
        title=title,
        what=_WHAT[source.layer.table.name],
        rows=rows,
        columns="\n".join(_column_line(feature) for feature in features),
        categories=len(source.categories),
        record="\n".join(f"| {key} | {_cell(value)} |" for key, value in sorted(source.record.items()) if value),
        identity=identity,
        split=first,
        file=f"{DATA}/{files[0]}" if files else f"{DATA}/{first}-00000-of-00001.parquet",
    )


def _split(name: str, folder: Path, masks: int) -> Split:
    files = list(folder.glob(f"{name}-*-of-*.parquet"))
    images = sum(pq.read_metadata(file).num_rows for file in files)
    return Split(name, images, masks, sum(file.stat().st_size for file in files))


def _header(title: str, features: Sequence[Any], splits: Sequence[Split], images: int) -> dict[str, Any]:
    listed = [{"name": s.name, "num_examples": s.images, "num_bytes": s.num_bytes} for s in splits]
    files = [{"split": s.name, "path": f"{DATA}/{s.name}-*.parquet"} for s in splits]
    return {
        "pretty_name": title,
        "task_categories": ["image-segmentation"],
        "size_categories": [next((size for limit, size in _SIZES if images < limit), _LARGEST)],
        "tags": ["part-segmentation", "pseudo-labels"],
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {"features": list(features), "splits": listed},
    }


def _upstream(source: Source) -> list[str]:
    """The node and all nodes that its layer was computed from, the first ones first."""
    store = source.layer.store
    names = {fingerprint: node for node, fingerprint in shown_layers(store).items()}
    found: list[str] = []

    def visit(fingerprint: str) -> None:
        node = names.get(fingerprint)
        if node is None or node in found or not store.files.exists(layout.layer_info(node, fingerprint)):
            return
        for other in store.layer(node, fingerprint).info.identity.upstream.values():
            visit(other)
        found.append(node)

    visit(source.layer.fingerprint)
    return found or [source.layer.node]


def _identity(source: Source, node: str) -> dict[str, Any]:
    store = source.layer.store
    layer = source.layer if node == source.layer.node else store.layer(node, shown_layers(store)[node])
    identity = layer.info.identity
    made = {"stage": identity.stage, "version": identity.version, "layer": layer.fingerprint}
    return made | {"settings": dict(identity.settings), "weights": dict(identity.weights)}


def _column_line(feature: Mapping[str, Any]) -> str:
    name = feature["name"]
    inner = ", ".join(f"`{one['name']}`" for one in feature.get("list", ()))
    return f"| `{name}` | {_MEANINGS[name]}{': ' + inner if inner else ''} |"


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return "`" + text.replace("|", "\\|").replace("`", "'").replace("\n", " ") + "`"


_MEANINGS = {
    "image": "the picture, or where it is",
    "image_id": "number of the image in the store",
    "key": "path of the image, relative to the image folder",
    "split": "split of the image",
    "wnid": "external id of the image's class, such as a WordNet code",
    "class_name": "name of the image's class",
    "height": "of the image, in pixels",
    "width": "of the image, in pixels",
    "segments": "PNG: number of each pixel's mask among the annotations, from 1; 0 is none",
    "annotations": "one per mask",
}
_CARD = """---
license: other  # fill in: the images have a license of their own, which these files do not change
{header}---

# {title}

Masks of {what}, found with the method PartDistillation (CVPR 2023) and exported from a store of `pd`. Unless their node
says otherwise, they are pseudo-labels: no person has checked them.

| split | images | masks |
|---|---|---|
{rows}

One row per image:

| column | what it is |
|---|---|
{columns}

A mask is the compressed run lengths `rle` of COCO, of an image of `height` x `width` pixels; `bbox` is x, y, width and
height in pixels, and `category` one of {categories} classes.

## Load it

```python
from datasets import load_dataset

# In this folder. From the hub: load_dataset("OWNER/NAME", split="{split}")
rows = load_dataset("parquet", data_files={{"{split}": "data/{split}-*.parquet"}}, split="{split}")
names = rows.features["annotations"].feature["category"].names
for mask in rows[0]["annotations"]:
    print(names[mask["category"]], mask["score"], mask["bbox"])
```

Without `datasets`, and a mask as an array:

```python
import pyarrow.parquet as pq
from pycocotools import mask as coco

row = pq.read_table("{file}").slice(0, 1).to_pylist()[0]
size = [row["height"], row["width"]]
masks = [coco.decode({{"size": size, "counts": mask["rle"]}}) for mask in row["annotations"]]
```

## How it was made

| | |
|---|---|
{record}

The nodes that led to it, with their settings:

```json
{identity}
```
"""
