"""Parquet files with one row per image and its masks, which ``datasets``, DuckDB, pandas and Polars read as they are.

Each split is a few files of about the same size, so that several workers can share them and a reader can stream them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pdstore import masks, runs
from pdstore.errors import InputMissing, UsageError
from schemas.pipeline import SourceSpec
from stages.exchange.coco import ROWS_PER_IMAGE
from stages.exchange.features import arrow_schema, image_columns, mask_columns
from stages.exchange.formats import Source
from stages.exchange.images import ImageMasks
from stages.exchange.outputs import link
from stages.source.images import ImageFault
from stages.source.tars import open_images
from stages.unit import Unit

__all__ = ["DATA", "ParquetWriter", "split_name", "writer"]

DATA = "data"
"""Folder of the files in the output."""
SHARD_BYTES = 256 << 20
"""Blocks are joined until a file has this size."""
_GROUP_ROWS = 256
"""Rows of a row group with embedded pictures: what a reader that streams has in memory."""
_PICTURES = ("embed", "path", "none")


def writer(source: Source) -> ParquetWriter:
    return ParquetWriter(source)


def split_name(split: str) -> str:
    """The split as a name that ``datasets`` accepts: letters, digits and underscores."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in split) or "train"


class ParquetWriter:
    """Each block is a file per split; neighbouring blocks are joined into files of the output.

    Options: ``images`` is ``path`` (the default: where the image is), ``embed`` (the file itself) or ``none``; with
    ``segments`` each image gets a PNG whose pixels number the masks from 1, best on top, and 0 where there is none.

    Raises:
        UsageError: an option has another value.
    """

    pictures = "path"
    """The option ``images`` unless it is given."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._pictures = str(source.options.get("images", self.pictures))
        if self._pictures not in _PICTURES:
            raise UsageError(f"found {self._pictures!r}", "--images", f"Give one of {', '.join(_PICTURES)}")
        self._has_segments = bool(source.options.get("segments", False))
        self.columns = image_columns(self._pictures != "none", self._has_segments)
        self.masks = mask_columns(source.layer.table.names)
        self.names = [category.name for category in source.categories]
        self.schema = arrow_schema(self.columns, self.masks, self.names)
        self._root = SourceSpec.of(source.layer.store).root if source.layer.store.info.source else ""

    def block(self, images: Iterable[ImageMasks], folder: Path) -> None:
        writers: dict[str, pq.ParquetWriter] = {}
        counts: dict[str, int] = {}
        read: Callable[[int], bytes] | None = None
        try:
            for group in _groups(images, _GROUP_ROWS if self._pictures == "embed" else 1 << 30):
                if self._pictures == "embed" and read is None:
                    read = self._reader(int(group[0].image["image_id"]))
                for split in dict.fromkeys(str(image.image["split"]) for image in group):
                    name = split_name(split)
                    of_split = [image for image in group if image.image["split"] == split]
                    if name not in writers:
                        # Long text and pictures are not made shorter by a dictionary, which would be tried first.
                        writers[name] = pq.ParquetWriter(
                            folder / f"{name}.parquet", self.schema, compression="zstd", use_dictionary=["split"]
                        )
                    writers[name].write_table(self._table(of_split, read))
                    counts[name] = counts.get(name, 0) + sum(len(image) for image in of_split)
        finally:
            for open_writer in writers.values():
                open_writer.close()
        (folder / "masks.json").write_text(json.dumps(counts), encoding="utf-8")

    def finish(self, blocks: Sequence[Path], out: Path) -> None:
        (out / DATA).mkdir(parents=True)
        for split, files in self.splits(blocks).items():
            joined_files = list(_runs(files))
            for number, run in enumerate(joined_files):
                target = out / DATA / f"{split}-{number:05d}-of-{len(joined_files):05d}.parquet"
                if len(run) == 1:
                    link(run[0], target)
                    continue
                with pq.ParquetWriter(target, self.schema, compression="zstd", use_dictionary=["split"]) as joined:
                    for file in run:
                        with pq.ParquetFile(file) as part:
                            for group in range(part.num_row_groups):
                                joined.write_table(part.read_row_group(group))

    @staticmethod
    def splits(blocks: Sequence[Path]) -> dict[str, list[Path]]:
        """Split -> its file of every block that has images of it."""
        found: dict[str, list[Path]] = {}
        for block in blocks:
            for file in sorted(block.glob("*.parquet")):
                found.setdefault(file.stem, []).append(file)
        return dict(sorted(found.items()))

    def _table(self, images: Sequence[ImageMasks], read: Callable[[int], bytes] | None) -> pa.Table:
        columns: dict[str, Any] = {}
        for name in self.columns:
            if name == "image":
                columns[name] = [self._picture(image.image, read) for image in images]
            elif name == "segments":
                columns[name] = [{"bytes": _segments(image), "path": None} for image in images]
            else:
                columns[name] = [image.image[name] for image in images]
        annotations = pa.array([row for image in images for row in self._annotations(image)], self._mask_type())
        ends = np.cumsum([0, *(len(image) for image in images)])
        lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), annotations)
        arrays = [pa.array(columns[name], self.schema.field(name).type) for name in self.columns]
        return pa.Table.from_arrays([*arrays, lists.cast(self.schema.field("annotations").type)], schema=self.schema)

    def _mask_type(self) -> pa.DataType:
        return self.schema.field("annotations").type.value_type

    def _annotations(self, image: ImageMasks) -> Iterator[dict[str, Any]]:
        found = runs.read(image.rle, *image.size)
        columns: dict[str, Sequence[Any]] = {
            "id": (int(image.image["image_id"]) * ROWS_PER_IMAGE + image.numbers + 1).tolist(),
            "category": image.categories.tolist(),
            "bbox": runs.boxes(found).tolist(),
            "area": runs.areas(found).tolist(),
            "rle": [counts.decode() for counts in image.rle],
        }
        columns |= {name: image.rows[name].tolist() for name in self.masks if name not in columns}
        for values in zip(*(columns[name] for name in self.masks), strict=True):
            yield dict(zip(self.masks, values, strict=True))

    def _picture(self, record: Mapping[str, Any], read: Callable[[int], bytes] | None) -> dict[str, Any]:
        key = str(record["key"])
        if read is None:
            return {"bytes": None, "path": f"{self._root.rstrip('/')}/{key}" if self._root else key}
        try:
            return {"bytes": read(int(record["image_id"])), "path": key}
        except ImageFault as fault:
            fix = "Bring the file back, or export where the images are: --images path"
            raise InputMissing(f"the image cannot be embedded ({fault.detail})", key, fix) from None

    def _reader(self, image_id: int) -> Callable[[int], bytes]:
        """A function image_id -> the bytes of an image file of the same block."""
        layer = self.source.images
        number = image_id // layer.store.info.block_size
        return Unit("export", number, open_images(layer.store, self._root), {"images": [layer]}).own_block.files()


def _groups(images: Iterable[ImageMasks], size: int) -> Iterator[list[ImageMasks]]:
    group: list[ImageMasks] = []
    for image in images:
        group.append(image)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _runs(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Neighbouring files that together are one file of the output."""
    run: list[Path] = []
    for file in files:
        if run and sum(path.stat().st_size for path in [*run, file]) > SHARD_BYTES:
            yield run
            run = []
        run.append(file)
    if run:
        yield run


def _segments(image: ImageMasks) -> bytes:
    """PNG of 8 or 16 bits: the place of each pixel's mask among the annotations, from 1; the best score is on top."""
    height, width = image.size
    found = np.zeros((height, width), np.uint8 if len(image) < 256 else np.uint16)
    for number in np.argsort(image.rows["score"], kind="stable").tolist():
        found[masks.decode_one(image.rle[number], height, width)] = number + 1
    file = io.BytesIO()
    Image.fromarray(found).save(file, "PNG")
    return file.getvalue()
