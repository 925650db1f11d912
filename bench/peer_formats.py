"""The same labels in this store and in other formats, each as its own documentation has it stream and look up fastest.

A record is an image with its masks as COCO run lengths, their ids, scores and areas. Every format writes all fields; a
stream gives, image by image in random order, what a training needs: the run-length strings and the labels.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pdstore import Identity, Ragged, Rows, Store, StoreInfo
from pdstore.reading.window import Window
from pdstore.stream import SampleOrder
from schemas.tables import LABELS

__all__ = ["BLOCK", "FORMATS", "PER_IMAGE", "Format", "Item", "Records"]

BLOCK, WINDOW, BATCH, PER_IMAGE = 1024, 8, 64, 4
"""Images in a block; blocks that are shuffled together; images in a batch; masks of an image."""
COLUMNS = ["image_id", "category_id", "rle"]

Item = tuple[int, list[bytes], Any]
"""image_id, run-length strings, labels."""
Lookup = Callable[[int], Item]


@dataclass(frozen=True)
class Records:
    """The labels of N images, as columns of 4 N rows."""

    rle: Ragged
    columns: Mapping[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.rle) // PER_IMAGE

    def image(self, number: int) -> dict[str, Any]:
        """The fields of one image, with its strings as bytes."""
        own = slice(number * PER_IMAGE, (number + 1) * PER_IMAGE)
        fields = {name: values[own].tolist() for name, values in self.columns.items()}
        return {**fields, "image_id": number, "rle": self.rle.strings(own.start, own.stop)}

    def arrow(self) -> pa.Table:
        offsets, data = pa.py_buffer(self.rle.offsets.astype(np.int64)), pa.py_buffer(self.rle.data)
        rle = pa.Array.from_buffers(pa.large_binary(), len(self.rle), [None, offsets, data])
        return pa.table({**self.columns, "rle": rle})


@dataclass(frozen=True)
class Format:
    """How one format writes the records, streams them, and looks up one image; ``package`` is what it imports."""

    write: Callable[[Records, Path], None]
    stream: Callable[[Path], Iterator[Item]]
    lookup: Callable[[Path], Lookup] | None = None
    package: str = ""
    install: str = ""


def write_store(records: Records, folder: Path) -> None:
    layer = Store.create(str(folder), StoreInfo(BLOCK, 0, {})).declare("labels", Identity("labels", 1), LABELS, "bench")
    for number in range(len(records) // BLOCK):
        own = slice(number * BLOCK * PER_IMAGE, (number + 1) * BLOCK * PER_IMAGE)
        columns = {name: values[own] for name, values in records.columns.items()}
        layer.commit(number, Rows(LABELS, {**columns, "rle": records.rle.take(own)}))


def stream_store(folder: Path) -> Iterator[Item]:
    """In the sample order of a training."""
    layer = Store(str(folder)).layers("labels")[0]

    def load(number: int) -> tuple[dict[int, slice], list[bytes], npt.NDArray[Any]]:
        rows = layer.read(number, COLUMNS)
        return rows.spans("image_id"), list(rows.ragged("rle")), rows["category_id"]

    blocks = Window(load, 2 * WINDOW)
    order = SampleOrder(np.repeat(layer.units(), BLOCK), BATCH, 0, WINDOW)
    for _, batch in islice(order.batches(), order.batches_per_epoch):
        held = {number: blocks[number] for number in np.unique(batch // BLOCK).tolist()}
        for image_id in batch.tolist():
            spans, strings, labels = held[image_id // BLOCK]
            own = spans[image_id]
            yield image_id, strings[own], labels[own]


def lookup_store(folder: Path) -> Lookup:
    layer = Store(str(folder)).layers("labels")[0]

    def find(image_id: int) -> Item:
        rows = layer.read_images(image_id // BLOCK, [image_id], COLUMNS)
        return image_id, list(rows.ragged("rle")), rows["category_id"]

    return find


def shuffled(table: pa.Table, rng: np.random.Generator) -> Iterator[Item]:
    """The images of an Arrow table, which has those of a window, in random order."""
    strings, labels = table.column("rle").to_pylist(), table.column("category_id").to_numpy()
    ids = table.column("image_id").to_numpy()[::PER_IMAGE].tolist()
    for place in rng.permutation(len(ids)).tolist():
        own = slice(place * PER_IMAGE, (place + 1) * PER_IMAGE)
        yield ids[place], strings[own], labels[own]


def write_parquet(records: Records, folder: Path) -> None:
    folder.mkdir()
    pq.write_table(records.arrow(), folder / "rows.parquet", row_group_size=BLOCK * PER_IMAGE, compression="zstd")


def stream_parquet(folder: Path) -> Iterator[Item]:
    """A window of random row groups at a time."""
    file, rng = pq.ParquetFile(folder / "rows.parquet", pre_buffer=False), np.random.default_rng(0)
    groups = rng.permutation(file.num_row_groups).tolist()
    for first in range(0, len(groups), WINDOW):
        yield from shuffled(file.read_row_groups(groups[first : first + WINDOW], COLUMNS, use_threads=False), rng)


def lookup_parquet(folder: Path) -> Lookup:
    file = pq.ParquetFile(folder / "rows.parquet", pre_buffer=False)

    def find(image_id: int) -> Item:
        table = file.read_row_group(image_id // BLOCK, COLUMNS, use_threads=False)
        own = table.slice(image_id % BLOCK * PER_IMAGE, PER_IMAGE)
        return image_id, own.column("rle").to_pylist(), own.column("category_id").to_numpy()

    return find


def write_lance(records: Records, folder: Path, compression: str = "") -> None:
    """Fragments of a window of blocks. Lance compresses no such strings unless it is told to."""
    import lance

    table = records.arrow()
    if compression:
        how = {"lance-encoding:compression": compression}
        table = table.cast(pa.schema([f.with_metadata(how) if f.name == "rle" else f for f in table.schema]))
    lance.write_dataset(table, str(folder), max_rows_per_file=BLOCK * PER_IMAGE * WINDOW)


def write_lance_zstd(records: Records, folder: Path) -> None:
    write_lance(records, folder, "zstd")


def stream_lance(folder: Path) -> Iterator[Item]:
    """A random fragment at a time, which is a window: faster than ``take`` of random rows, however large the batch."""
    import lance

    rng, fragments = np.random.default_rng(0), lance.dataset(str(folder)).get_fragments()
    for number in rng.permutation(len(fragments)).tolist():
        yield from shuffled(fragments[number].to_table(columns=COLUMNS), rng)


def lookup_lance(folder: Path) -> Lookup:
    import lance

    dataset = lance.dataset(str(folder))

    def find(image_id: int) -> Item:
        table = dataset.take(list(range(image_id * PER_IMAGE, (image_id + 1) * PER_IMAGE)), columns=COLUMNS)
        return image_id, table.column("rle").to_pylist(), table.column("category_id").to_numpy()

    return find


def write_webdataset(records: Records, folder: Path) -> None:
    import webdataset

    folder.mkdir()
    with webdataset.ShardWriter(str(folder / "%05d.tar"), maxcount=BLOCK * 4, verbose=0) as sink:
        for number in range(len(records)):
            sink.write({"__key__": f"{number:08d}", "pyd": records.image(number)})


def stream_webdataset(folder: Path) -> Iterator[Item]:
    import webdataset

    tars, buffer = sorted(str(path) for path in folder.glob("*.tar")), BLOCK * WINDOW
    dataset = webdataset.WebDataset(tars, shardshuffle=len(tars), seed=0, empty_check=False)
    for sample in dataset.shuffle(buffer, initial=buffer).decode():
        yield sample["pyd"]["image_id"], sample["pyd"]["rle"], sample["pyd"]["category_id"]


def streaming() -> Any:
    """The module of MDS. Its data sets of pictures, which are not used here, import torchvision."""
    names = ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional")
    missing = {} if importlib.util.find_spec("torchvision") else {name: types.ModuleType(name) for name in names}
    for name, module in missing.items():
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__dict__.update(VisionDataset=object, to_tensor=None)
        sys.modules[name] = module
    try:
        return importlib.import_module("streaming")
    finally:
        for name in missing:
            del sys.modules[name]


def write_mds(records: Records, folder: Path) -> None:
    columns = {"image_id": "int", "fields": "json", "rle": "bytes", "ends": "ndarray"}
    with streaming().MDSWriter(out=str(folder), columns=columns) as sink:
        for number in range(len(records)):
            fields = records.image(number)
            strings = fields.pop("rle")
            ends = np.cumsum([0, *map(len, strings)])
            sink.write({"image_id": number, "fields": fields, "rle": b"".join(strings), "ends": ends})


def _of_mds(sample: Mapping[str, Any]) -> Item:
    strings = [sample["rle"][start:stop] for start, stop in pairwise(sample["ends"].tolist())]
    return sample["image_id"], strings, sample["fields"]["category_id"]


def stream_mds(folder: Path) -> Iterator[Item]:
    streaming().base.util.clean_stale_shared_memory()
    return map(_of_mds, streaming().StreamingDataset(local=str(folder), shuffle=True, batch_size=BATCH))


def lookup_mds(folder: Path) -> Lookup:
    streaming().base.util.clean_stale_shared_memory()
    dataset = streaming().StreamingDataset(local=str(folder), shuffle=False, batch_size=BATCH)
    return lambda image_id: _of_mds(dataset[image_id])


def write_files(records: Records, folder: Path) -> None:
    import torch

    folder.mkdir()
    for number in range(len(records)):
        torch.save(records.image(number), folder / f"{number}.pt")


def lookup_files(folder: Path) -> Lookup:
    import torch

    def find(image_id: int) -> Item:
        fields = torch.load(folder / f"{image_id}.pt", weights_only=False)
        return image_id, fields["rle"], fields["category_id"]

    return find


def stream_files(folder: Path) -> Iterator[Item]:
    ids = sorted(int(path.stem) for path in folder.glob("*.pt"))
    return map(lookup_files(folder), np.random.default_rng(0).permutation(ids).tolist())


EXTRA = "pip install -c constraints.txt -e '.[bench]'"
MDS = (
    f"{EXTRA}, then pip install --no-deps mosaicml-streaming "
    "(its own requirements name an older NumPy, and torchvision, which brings another torch)"
)
FORMATS = {
    "store": Format(write_store, stream_store, lookup_store),
    "lance": Format(write_lance, stream_lance, lookup_lance, "lance", EXTRA),
    "lance, zstd": Format(write_lance_zstd, stream_lance, lookup_lance, "lance", EXTRA),
    "parquet": Format(write_parquet, stream_parquet, lookup_parquet),
    "mds": Format(write_mds, stream_mds, lookup_mds, "streaming", MDS),
    "webdataset": Format(write_webdataset, stream_webdataset, None, "webdataset", EXTRA),
    "files": Format(write_files, stream_files, lookup_files),
}
