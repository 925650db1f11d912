"""The original system's tree of pseudo-labels, from the masks of a node: see :mod:`stages.datasets.original_files`.

The output holds one folder, named as the original names it, and in that a folder per class with a file per image:
its configuration then reads it as ``DATASET_PATH`` or ``OBJECT_MASK_PATH``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Ragged, Rows, masks
from pdstore.errors import UsageError
from schemas.pipeline import SourceSpec
from stages.datasets.original_files import EXTRA, file_bytes, segmentations
from stages.datasets.original_grid import to_grid
from stages.datasets.original_tree import file_of
from stages.exchange.formats import Source
from stages.exchange.images import ImageMasks
from stages.exchange.outputs import link
from stages.source.frames import FRAME_SIDE, Size

__all__ = ["OriginalWriter", "tree_name", "writer"]

_TREES = {
    "objects": "detic_predictions",
    "parts": "proposal_generation",
    "labels": "part_masks_with_class",
    "predictions": "part_distillation_predictions",
}
_SMOOTHED = "processed_proposals"
_CLUSTERED = ("labels", "predictions")
_OWN = {"objects": {"score"}, "parts": set[str](), "labels": {"score", "cluster"}, "predictions": {"score", "cluster"}}
"""Table -> the columns that the original's keys hold whole."""
_MASK = {"image_id", "area", "height", "width", "rle"}


def writer(source: Source) -> OriginalWriter:
    return OriginalWriter(source)


def tree_name(source: Source) -> str:
    """The folder of the tree, as the original names it."""
    if source.layer.info.identity.stage == "crf":
        return _SMOOTHED
    return _TREES[source.layer.table.name]


class OriginalWriter:
    """Every file is written with its block, and linked into the output when all blocks are there.

    Options: ``image_root``, the folder that the files say the images are in, by default that of the store; and
    ``long_side``, that of the grid of the masks, 640 as the original's configurations have it.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._tree = source, tree_name(source)
        self._root = str(source.options.get("image_root") or SourceSpec.of(source.layer.store).root)
        self._side = int(source.options.get("long_side", FRAME_SIDE))
        self._content = {"objects": _objects, "parts": _parts}.get(source.layer.table.name, _labels)

    def block(self, images: Iterable[ImageMasks], folder: Path) -> Counter[str]:
        """Returns the masks that a tree has no place for, by reason."""
        vectors: dict[str, Rows] = {}
        lost = Counter[str]()
        for whole in images:
            image = self._fitting(whole, lost)
            if image is None:
                continue
            path = file_of(folder / self._tree, str(image.image["wnid"]), image.image["key"])
            if path.exists():
                raise _same_name(image.image["key"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file_bytes(self._described(image, vectors)))
        return lost

    def finish(self, blocks: Sequence[Path], out: Path) -> None:
        (out / self._tree).mkdir(parents=True)
        for block in blocks:
            for folder in sorted((block / self._tree).glob("*")):
                target = out / self._tree / folder.name
                target.mkdir(exist_ok=True)
                for file in folder.iterdir():
                    if (target / file.name).exists():
                        raise _same_name(f"{folder.name}/{file.name}")
                    link(file, target / file.name)

    def _fitting(self, image: ImageMasks, lost: Counter[str]) -> ImageMasks | None:
        """The image with the masks that the original can read: it takes every cluster for one of the image's class."""
        if not image.image["wnid"]:
            lost["mask of an image without a class"] += len(image)
            return None
        if self._source.layer.table.name not in _CLUSTERED:
            return image
        kept = np.flatnonzero(image.rows["category_id"] == image.image["class_id"])
        lost["cluster of another class than the image's"] += len(image) - len(kept)
        if not len(kept):
            return None
        rows, rle = image.rows.take(kept), image.rle.take(kept)
        return replace(image, rows=rows, rle=rle, categories=image.categories[kept], numbers=image.numbers[kept])

    def _described(self, image: ImageMasks, vectors: dict[str, Rows]) -> dict[str, Any]:
        rows, is_square = image.rows, self._source.layer.table.name in _CLUSTERED
        rle, grid = to_grid(rows, image.size, self._side, is_square=is_square)
        path = f"{self._root.rstrip('/')}/{image.image['key']}"
        content = self._content(image, path, rle, grid)
        return content | {"height": grid[0], "width": grid[1], EXTRA: self._columns(image, vectors)}

    def _columns(self, image: ImageMasks, vectors: dict[str, Rows]) -> dict[str, Any]:
        """The columns that the original has no place for, as tensors and lists of text."""
        import torch

        table = self._source.layer.table
        found: dict[str, Any] = {}
        for column in table.columns:
            if column.name in _MASK | _OWN[table.name]:
                continue
            vector = self._vector(column.name, image, vectors) if column.layout == "vector" else None
            values = image.rows[column.name] if vector is None else vector
            is_text = column.dtype == "string"
            found[column.name] = values.tolist() if is_text else torch.from_numpy(np.ascontiguousarray(values))
        return found

    def _vector(self, name: str, image: ImageMasks, vectors: dict[str, Rows]) -> npt.NDArray[Any]:
        layer, image_id = self._source.layer, int(image.image["image_id"])
        if name not in vectors:
            vectors[name] = layer.read(image_id // layer.store.info.block_size, ["image_id", name])
        rows = vectors[name]
        return rows[name][np.flatnonzero(rows["image_id"] == image_id)[image.numbers]]


def _objects(image: ImageMasks, path: str, rle: Ragged, grid: Size) -> dict[str, Any]:
    import torch

    boxes = masks.boxes(rle, *grid)
    boxes[:, 2:] += boxes[:, :2]
    return _named(image, path) | {
        "object_masks": segmentations(rle, *grid),
        "object_boxes": torch.from_numpy(boxes),
        "object_scores": torch.from_numpy(np.ascontiguousarray(image.rows["score"], np.float32)),
        "pred_names": image.rows["category_name"].tolist(),
    }


def _parts(image: ImageMasks, path: str, rle: Ragged, grid: Size) -> dict[str, Any]:
    whole = Ragged.from_list([masks.union(rle, *grid)])
    return _named(image, path) | {
        "part_mask": segmentations(rle, *grid),
        "object_ratio": int(masks.area(whole, *grid)[0]) / (grid[0] * grid[1]),
        "class_index": int(image.image["class_id"]),
    }


def _labels(image: ImageMasks, path: str, rle: Ragged, grid: Size) -> dict[str, Any]:
    import torch

    class_id = int(image.image["class_id"])
    area, pixels = torch.from_numpy(masks.area(rle, *grid)), grid[0] * grid[1]
    together = int(area.sum())
    ratios: Mapping[str, Any] = {"part_ratios": area / pixels, "object_class_label": class_id}
    if image.rows.table.name == "predictions":
        ratios = {"part_area_ratios": area / max(together, 1)}
    return {
        "file_name": path,
        "image_id": Path(path).name,
        "class_code": str(image.image["wnid"]),
        "part_masks": segmentations(rle, *grid),
        "part_labels": torch.from_numpy(image.rows["cluster"].astype(np.int64)),
        "object_ratio": together / pixels,
        "part_scores": np.ascontiguousarray(image.rows["score"], np.float32),
        **ratios,
    }


def _named(image: ImageMasks, path: str) -> dict[str, Any]:
    record = image.image
    code, name = str(record["wnid"]), str(record["class_name"])
    return {"file_name": Path(path).name, "file_path": path, "class_code": code, "class_name": name}


def _same_name(key: str) -> UsageError:
    problem = "two images of the class have the same file name, and a tree has one file for both"
    return UsageError(problem, key, "Export the splits one by one: --where \"i.split = 'train'\"")
