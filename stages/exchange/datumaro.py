"""Formats of other programs through the exporters of datumaro: LabelMe, CVAT and Pascal VOC.

The masks are written as COCO instances, one file per split, which datumaro reads; what becomes of them is its own work.
Unlike the other formats, all annotations of the output are in memory at the end.
Source: https://github.com/open-edge-platform/datumaro
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdstore.errors import UsageError
from stages.exchange.coco import CocoWriter
from stages.exchange.formats import Source
from stages.exchange.images import ImageMasks
from stages.exchange.parquet import split_name

__all__ = ["EXPORTERS", "DatumaroWriter", "by_split", "writer"]

EXPORTERS: Mapping[str, tuple[str, bool]] = {
    "labelme": ("label_me", True),
    "cvat": ("cvat", False),
    "voc": ("voc_instance_segmentation", False),
}
"""Format -> datumaro's name of the exporter, and whether it takes outlines in place of masks."""


def writer(source: Source) -> DatumaroWriter:
    """Raises UsageError if datumaro is not installed."""
    try:
        import datumaro
    except ModuleNotFoundError as error:
        where, fix = f"pd export {source.record['format']}", "Install it: pip install datumaro"
        raise UsageError(f"the package {error.name} is not installed", where, fix) from error
    return DatumaroWriter(source, datumaro.Dataset)


class DatumaroWriter:
    """Writes blocks as COCO, and hands them to datumaro when all are there. Image files are not copied."""

    def __init__(self, source: Source, dataset: Any) -> None:
        self._source, self._dataset, self._coco = source, dataset, CocoWriter(source)
        self._exporter, self._takes_outlines = EXPORTERS[str(source.record["format"])]
        # Otherwise CVAT's exporter drops the score, and says so for every mask.
        self._options = {"allow_undeclared_attrs": True} if self._exporter == "cvat" else {}

    def block(self, images: Iterable[ImageMasks], folder: Path) -> None:
        for split, members in by_split(images).items():
            (folder / split).mkdir()
            self._coco.block(members, folder / split)

    def finish(self, blocks: Sequence[Path], out: Path) -> None:
        coco = out.with_name(f"{out.name}.coco")
        try:
            self._join(blocks, coco)
            dataset = self._dataset.import_from(str(coco), "coco_instances")
            if self._takes_outlines:
                dataset.transform("masks_to_polygons")
            dataset.export(str(out), self._exporter, save_media=False, **self._options)
        finally:
            shutil.rmtree(coco, ignore_errors=True)

    def _join(self, blocks: Sequence[Path], coco: Path) -> None:
        """A COCO data set as datumaro looks for it: a file per split, and a folder for images beside them."""
        (coco / "annotations").mkdir(parents=True)
        (coco / "images").mkdir()
        splits = sorted({folder.name for block in blocks for folder in block.iterdir() if folder.is_dir()})
        for split in splits:
            parts = [block / split for block in blocks if (block / split).is_dir()]
            self._coco.finish(parts, coco / "annotations" / f"instances_{split}.json")


def by_split(images: Iterable[ImageMasks]) -> dict[str, list[ImageMasks]]:
    """Split, as a name for a file -> its images."""
    found: dict[str, list[ImageMasks]] = {}
    for image in images:
        found.setdefault(split_name(str(image.image["split"])), []).append(image)
    return found
