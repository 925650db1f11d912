"""A training set from an SQL condition, as a PyTorch data set: (image, masks, labels) in the store's sample order.

    python examples/training_set.py my-store --node crf --where "m.object_ratio > 0.1 AND i.class_name = 'cats'"

The condition is SQL over the masks ``m`` (the table that the node writes) and their images ``i``. The images that have
at least one such mask are frozen in the store as a selection, so every later run and every rank streams the same ones.
The order is a pure function of selection, seed and epoch, so a training resumes at the batch where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, IterableDataset

from pdstore import Position, Rows, SampleOrder, Store
from pdstore.files import Files
from pdstore.fingerprint import digest
from schemas.training import TrainSettings
from stages.plan.project import Project
from stages.train.samples import Sample as StoredSample
from stages.train.source import Choice, StoreSource, select
from stages.unit import Unit

Sample = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""image (3, H, W) uint8, masks (N, H, W) bool, labels (N,) int64."""

FIRST = Position(epoch=0, batches=0)
NUMBERS = {"objects": "category_id", "parts": "part_id", "labels": "cluster", "predictions": "cluster"}
"""Table -> the column that is a mask's label. Proposals have none: theirs is 0."""


class MaskSet(IterableDataset[list[Sample]]):
    """The batches of one epoch, from ``start`` on.

    Args:
        source: reads samples of a selection, with the rows of a few blocks in memory at a time.
        order: which sample comes in which batch.
        start: epoch, and how many of its batches were consumed before.
        rank, ranks: this process's slice of every batch.
    """

    def __init__(
        self, source: StoreSource, order: SampleOrder, start: Position = FIRST, rank: int = 0, ranks: int = 1
    ) -> None:
        self.source, self.order, self.start, self.rank, self.ranks = source, order, start, rank, ranks

    def __len__(self) -> int:
        return self.order.batches_per_epoch - self.start.batches

    def __iter__(self) -> Iterator[list[Sample]]:
        for position, rows in self.order.batches(self.start, self.rank, self.ranks):
            if position.epoch > self.start.epoch:
                return
            yield [_tensors(decode()) for decode in self.source.read(rows)]


def _tensors(sample: StoredSample) -> Sample:
    # Copied, since PyTorch does not take arrays that are read-only.
    image = torch.from_numpy(sample.image.copy()).permute(2, 0, 1)
    return image, torch.from_numpy(sample.masks), torch.from_numpy(sample.labels)


def open_source(project: Project, node: str, where: str, split: str = "train", window: int = 8) -> StoreSource:
    """The images of ``split`` that have masks of ``node`` which meet ``where``, and those masks.

    Raises:
        UsageError: the condition is not valid SQL.
        InputMissing: no image has such a mask.
    """
    layer = project.layer(node)
    images = next(project.layer(n.name) for n in project.nodes.values() if n.stage.output.name == "images")
    unit = Unit("training-set", 0, Files(project.source.root), {"images": [images], "masks": [layer]})
    column = NUMBERS.get(layer.table.name)

    def label(rows: Rows) -> npt.NDArray[np.int64]:
        return rows[column].astype(np.int64) if column else np.zeros(len(rows), np.int64)

    choice = Choice("masks", where, label)
    # Another condition is another selection: a name stands for one frozen choice for good.
    name = f"example-{node}-{digest([layer.fingerprint, split, where])[:12]}"
    return StoreSource(unit, select(unit, TrainSettings(), split, choice, name), choice, window)


def main(argv: Sequence[str] | None = None) -> int:
    """Print what the first epoch holds; returns the exit code."""
    arguments = _parser().parse_intermixed_args(argv)
    project = Project.open(Store(str(arguments.store)))
    source = open_source(project, arguments.node, arguments.where, arguments.split)
    order = SampleOrder(source.block_of_row, arguments.batch_size, arguments.seed)
    print(f"{len(source)} images, {order.batches_per_epoch} batches of {arguments.batch_size}")
    # batch_size=None: the store's order has cut the batches already.
    for number, batch in enumerate(DataLoader(MaskSet(source, order), batch_size=None)):
        print(f"batch {number}: {len(batch)} images with {sum(len(masks) for _, masks, _ in batch)} masks")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("store", type=Path, help="folder of the store")
    parser.add_argument("--node", default="crf", help="node whose masks are learnt [default: crf]")
    parser.add_argument("--where", default="true", metavar="SQL", help="over masks m and images i [default: true]")
    parser.add_argument("--split", default="train", help="images of this split [default: train]")
    parser.add_argument("--batch-size", type=int, default=4, metavar="N", help="images per batch [default: 4]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order [default: 0]")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
