"""The listing: which image is where. It is made once when a folder is scanned, and only ever grows.

Images are put in a seeded random order, and image i of a listing lies in block i // block_size, so that a block is a
fair sample of the whole. Images that are added later open new blocks.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pdstore import Store, layout
from pdstore.blockfile import parquet_bytes, parquet_table
from pdstore.errors import UsageError
from pdstore.stream import generator
from schemas.pipeline import SourceSpec
from schemas.tables import CLASSES
from stages.datasets.published import dataset_classes, dataset_images

__all__ = ["ImageClass", "Listed", "Listing", "scan", "scan_classes"]

_SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm"}
_SPLITS = {"train", "val", "valid", "validation", "test"}
UNSORTED = "object"
"""The one class of images that lie in no class folder."""
_WNID = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class ImageClass:
    """A class of the vocabulary."""

    class_id: int
    wnid: str
    name: str


@dataclass(frozen=True)
class Listed:
    """One image of the listing; ``wnid`` is a WordNet code or a folder's name."""

    image_id: int
    key: str
    split: str
    wnid: str


def scan_classes(source: SourceSpec) -> list[ImageClass]:
    """The vocabulary of a source: its data set's; or ``labels.txt`` (``wnid,name`` a line) if it is there; or folders.

    Raises:
        UsageError: no folder, an ImageNet tree without ``labels.txt``, or a line or class folder that does not fit.
    """
    root, is_chosen = _existing(source.root), _class_filter(source)
    if source.kind == "dataset":
        pairs = [pair for pair in dataset_classes(source.dataset, root) if is_chosen(pair[0])]
        return [ImageClass(i, code, name) for i, (code, name) in enumerate(pairs)]
    labels = root / "labels.txt"
    found = sorted({wnid for _, _, wnid in _chosen(source) if wnid})
    if labels.exists():
        named = {wnid: name for wnid, name in _parse_labels(labels).items() if is_chosen(wnid)}
        unknown = [wnid for wnid in found if wnid not in named]
        if unknown:
            fix = f"Add a line '{unknown[0]},name' to it, or move the folder away"
            raise UsageError("every class folder in labels.txt", f"no line for {unknown}", str(labels), fix)
        return [ImageClass(i, wnid, name) for i, (wnid, name) in enumerate(named.items())]
    if found and all(_WNID.fullmatch(wnid) for wnid in found):
        fix = "Write it: one 'wnid,name' a line, such as 'n02958343,car'"
        raise UsageError("labels.txt beside folders named by WordNet codes", "none", str(root), fix)
    return [ImageClass(i, name, name.replace("_", " ")) for i, name in enumerate(found)]


def scan(source: SourceSpec, known: set[str], seed: int) -> list[tuple[str, str, str]]:
    """(key, split, wnid) of every image that is not ``known``, in seeded random order.

    Raises:
        UsageError: the folder is missing or holds no image, or a key is absolute or leaves the folder.
    """
    images = sorted(_chosen(source))
    if not images:
        fix = f"Images end in {', '.join(sorted(_SUFFIXES))}"
        fix += f"; only those of classes in {source.class_file} are taken" if source.class_file else ""
        raise UsageError("images", "none", source.list_file or source.root, fix)
    fresh = [image for image in images if image[0] not in known]
    order = generator("images", seed, len(known)).permutation(len(fresh))
    return [fresh[i] for i in order]


class Listing:
    """The listings of a store, block by block.

    Raises:
        UsageError: the store has no listing yet.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sizes: list[int] = []
        for number in range(len(store.files.names(layout.LISTINGS))):
            self._sizes.append(self._open(number).metadata.num_rows)

    @property
    def blocks(self) -> int:
        size = self._store.info.block_size
        return sum(-(-rows // size) for rows in self._sizes)

    @property
    def images(self) -> int:
        return sum(self._sizes)

    def read(self, block: int) -> list[Listed]:
        """The images of a block, in order."""
        size = self._store.info.block_size
        first = 0
        for number, rows in enumerate(self._sizes):
            count = -(-rows // size)
            if block < first + count:
                frame = self._open(number).read_row_group(block - first, use_threads=False)
                return [Listed(block * size + i, **row) for i, row in enumerate(frame.to_pylist())]
            first += count
        raise UsageError(f"a block from 0 to {self.blocks - 1}", str(block))

    def keys(self) -> set[str]:
        return {
            key
            for n in range(len(self._sizes))
            for key in self._open(n).read(["key"], use_threads=False).column("key").to_pylist()
        }

    def classes(self) -> list[ImageClass]:
        frame = parquet_table(self._store.files.read(layout.CLASSES))
        return [ImageClass(*row.values()) for row in frame.to_pylist()]

    def append(self, images: list[tuple[str, str, str]]) -> None:
        """Add images; they open new blocks."""
        frame = pa.Table.from_pylist([dict(zip(("key", "split", "wnid"), image, strict=True)) for image in images])
        sink = io.BytesIO()
        pq.write_table(frame, sink, compression="zstd", row_group_size=self._store.info.block_size)
        if not self._store.files.create(layout.listing(len(self._sizes)), sink.getvalue()):
            fix = "Run the command again"
            raise UsageError("to be the only one who adds images", "another process that just did", fix=fix)
        self._sizes.append(len(images))

    def write_classes(self, classes: list[ImageClass]) -> None:
        columns = [[c.class_id for c in classes], [c.wnid for c in classes], [c.name for c in classes]]
        arrays = [pa.array(values, c.arrow) for values, c in zip(columns, CLASSES.scalars, strict=True)]
        self._store.files.write(
            layout.CLASSES, parquet_bytes(pa.Table.from_arrays(arrays, schema=CLASSES.arrow_schema))
        )

    def _open(self, number: int) -> pq.ParquetFile:
        path = layout.listing(number)
        files = self._store.files
        # Locally only the row group that is asked for is read; a remote listing is fetched whole.
        return pq.ParquetFile(files.full(path) if files.is_local else io.BytesIO(files.read(path)))


def _chosen(source: SourceSpec) -> Iterator[tuple[str, str, str]]:
    is_chosen = _class_filter(source)
    return (image for image in _walk(source) if is_chosen(image[2]))


def _class_filter(source: SourceSpec) -> Callable[[str], bool]:
    """Whether a class is one of the source's; every class is where it has no list of them."""
    if not source.class_file:
        return lambda code: True
    path = Path(source.class_file)
    if not path.is_file():
        raise UsageError("a file of classes", "none", str(path), "Write a WordNet code, or a folder's name, a line")
    lines = (line.strip() for line in path.read_text().splitlines())
    codes = {re.split(r"[\t,]", line)[0].strip() for line in lines if line and not line.startswith("#")}
    return codes.__contains__


def _walk(source: SourceSpec) -> Iterator[tuple[str, str, str]]:
    if source.kind == "list":
        yield from _read_list(source)
        return
    root = _existing(source.root)
    if source.kind == "dataset":
        yield from dataset_images(source.dataset, root)
        return
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in files:
            if Path(name).suffix.lower() in _SUFFIXES:
                key = (Path(folder) / name).relative_to(root).as_posix()
                yield (key, *_split_and_class(key))


def _read_list(source: SourceSpec) -> Iterator[tuple[str, str, str]]:
    path = Path(source.list_file)
    if not path.is_file():
        raise UsageError("a list file", "none", str(path), "Write one image key a line")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        key, _, wnid = line.strip().partition("\t")
        if not key or key.startswith("#"):
            continue
        if key.startswith("/") or ".." in Path(key).parts or "\\" in key:
            fix = "Write keys relative to the image folder"
            raise UsageError("a key inside the image folder", repr(key), f"{path}, line {number}", fix)
        split, inferred = _split_and_class(key)
        yield key, split, wnid or inferred


def _split_and_class(key: str) -> tuple[str, str]:
    """``train/n01/x.JPEG`` -> (train, n01); ``cats/x.png`` -> (train, cats); ``x.png`` -> (train, object)."""
    parts = key.split("/")[:-1]
    split = parts.pop(0) if parts and parts[0].lower() in _SPLITS else "train"
    return split, parts[-1] if parts else UNSORTED


def _existing(folder: str) -> Path:
    root = Path(folder)
    if not root.is_dir():
        fix = "Name the folder that holds the images: pd init STORE --images DIR"
        raise UsageError("an image folder", "a file" if root.exists() else "nothing", folder, fix)
    return root


def _parse_labels(path: Path) -> dict[str, str]:
    named: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        wnid, comma, name = (part.strip() for part in line.partition(","))
        if not (wnid and comma and name):
            raise UsageError("'wnid,name'", repr(line), f"{path}, line {number}", "Mend the line")
        if wnid in named:
            raise UsageError("each class once", f"{wnid} again", f"{path}, line {number}", "Remove one of the lines")
        named[wnid] = name
    return named
