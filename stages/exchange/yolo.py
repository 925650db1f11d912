"""YOLO's segmentation format, and ``supervision.Detections``, through the package supervision.

Source: https://supervision.roboflow.com
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pdstore import Rows, masks
from pdstore.errors import UsageError
from schemas.pipeline import SourceSpec
from stages.exchange.coco import CocoWriter
from stages.exchange.datumaro import by_split
from stages.exchange.formats import Source
from stages.exchange.images import ImageMasks
from stages.exchange.outputs import link
from stages.source.frames import Size, image_frames, mask_frames

__all__ = ["YoloWriter", "to_supervision", "writer"]


def to_supervision(rows: Rows, size: Size | None = None) -> Any:
    """The masks of one image as ``supervision.Detections``, which its annotators draw.

    Args:
        rows: of one image, with ``rle``, ``height``, ``width`` and ``score``.
        size: (height, width) of the picture to draw on; by default that of the masks' frame.

    Returns:
        N detections with boxes, masks (N, H, W) bool, confidence, ``class_id`` (the cluster if there is one, otherwise
        the category), and every other column under ``data``.

    Raises:
        UsageError: supervision is not installed, or the rows are of several images.
    """
    sv = _supervision("to_supervision")
    frames = image_frames(rows)
    if len(frames) > 1:
        raise UsageError(f"expected rows of one image, found {len(frames)}", "to_supervision", "Give them one by one")
    height, width = size or next(iter(frames.values()), (1, 1))
    stack = masks.decode_to(rows.ragged("rle"), mask_frames(rows), height, width)
    boxes = masks.boxes(masks.encode(stack), height, width)
    boxes[:, 2:] += boxes[:, :2]
    number = next((name for name in ("cluster", "category_id") if name in rows.columns), "")
    classes = rows[number] if number else np.zeros(len(rows))
    data = {name: rows[name] for name in rows.columns if name != "rle"}
    return sv.Detections(boxes, stack, rows["score"], classes.astype(int), data=data)


def writer(source: Source) -> YoloWriter:
    """Raises UsageError if supervision is not installed, or the images are not files in a folder."""
    return YoloWriter(source, _supervision("pd export yolo").DetectionDataset)


class YoloWriter:
    """Outlines of masks, a text file per image. A mask of several pieces is several outlines; holes are lost.

    Options: ``images`` is ``embed``, which writes the pictures, too, or ``none`` (the default).
    """

    def __init__(self, source: Source, dataset: Any) -> None:
        self._source, self._dataset, self._coco = source, dataset, CocoWriter(source)
        self._root = Path(SourceSpec.of(source.layer.store).root)
        self._copies = source.options.get("images", "none") == "embed"

    def block(self, images: Iterable[ImageMasks], folder: Path) -> None:
        for split, members in by_split(images).items():
            for image in members:
                if not (self._root / str(image.image["key"])).is_file():
                    fix = "Unpack the images into a folder, or export coco"
                    raise UsageError("supervision needs the image as a file", str(image.image["key"]), fix)
            coco = folder / "coco"
            coco.mkdir()
            self._coco.block(members, coco)
            self._coco.finish([coco], folder / "coco.json")
            found = self._dataset.from_coco(str(self._root), str(folder / "coco.json"), force_masks=True)
            pictures = str(folder / "images" / split) if self._copies else None
            found.as_yolo(pictures, str(folder / "labels" / split))
            shutil.rmtree(coco)
            (folder / "coco.json").unlink()

    def finish(self, blocks: Sequence[Path], out: Path) -> None:
        out.mkdir()
        splits: set[str] = set()
        for block in blocks:
            for folder in sorted(path for path in block.glob("*/*") if path.is_dir()):
                target = out / folder.relative_to(block)
                target.mkdir(parents=True, exist_ok=True)
                splits.add(folder.name)
                for file in folder.iterdir():
                    if (target / file.name).exists():
                        fix = "Export them one by one: --where \"i.wnid = '…'\""
                        raise UsageError("two images have the same file name", file.name, fix)
                    link(file, target / file.name)
        described = {split: f"images/{split}" for split in sorted(splits)}
        names = {number: category.name for number, category in enumerate(self._source.categories)}
        text = yaml.safe_dump({"path": ".", **described, "names": names}, sort_keys=False, allow_unicode=True)
        (out / "data.yaml").write_text(text, encoding="utf-8")


def _supervision(where: str) -> Any:
    try:
        import supervision
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the package {error.name} is not installed", where, "Install it: pip install supervision"
        ) from error
    return supervision
