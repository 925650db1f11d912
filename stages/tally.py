"""The counts of an evaluation over a store's blocks, by one process or by several.

The masks are read once for all protocols, block by block; the counts of a block are small, and they add.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from pdstore import Layer, Rows, masks
from stages.kernels.evaluation import Evaluation, ImageResult, Protocol

__all__ = ["Counts", "Parts", "Tally"]

Parts = Mapping[tuple[str, str], int]
"""(object class, part) -> number of the part."""
Counts = dict[tuple[str, str], Evaluation]
"""(input role, protocol) -> what was counted."""


@dataclass(frozen=True)
class Tally:
    """What to count.

    Attributes:
        layers: input role of the stage ``eval`` -> its layer.
        clusters: role that is scored -> number of its clusters, 0 for segments.
        splits: honest protocol: the images that name the clusters, those that are scored; all others are left out.
        limits: the n of AR@n.
    """

    layers: Mapping[str, Layer]
    clusters: Mapping[str, int]
    parts: Parts
    protocols: Sequence[Protocol]
    splits: tuple[str, str]
    limits: tuple[int, ...]

    def nothing(self) -> Counts:
        return {
            (role, protocol.name): Evaluation(len(self.parts), number, protocol, self.limits)
            for role, number in self.clusters.items()
            for protocol in self.protocols
        }

    def of_block(self, block: int) -> Counts:
        counts = self.nothing()
        for role in self.clusters:
            for split, result in self._results(role, block):
                for protocol in self.protocols:
                    if split in self.splits or not protocol.splits:
                        counts[role, protocol.name].add(result)
        return counts

    def of_blocks(self, blocks: Sequence[int], processes: int) -> Iterator[Counts]:
        """The counts of all blocks so far, after each block."""
        total = self.nothing()
        with _mapping(min(processes, len(blocks))) as each:
            for counts in each(self.of_block, blocks):
                total = {key: total[key] + more for key, more in counts.items()}
                yield total

    def _results(self, role: str, block: int) -> Iterator[tuple[str, ImageResult]]:
        """(split, image) of those with ground truth of their own class; predictions of other objects are left out."""
        images = self.layers["images"].read(block, ["image_id", "class_id", "class_name", "split", "height", "width"])
        truth = _read(self.layers["truth"], block, "category_name", "part_name")
        found = _read(self.layers[role], block, "object_id", "cluster", "score")
        if "object_id" in found.columns:
            found = found.take(found["object_id"] == 0)
        outlines = (
            _read(self.layers["truth_objects"], block, "category_name") if "truth_objects" in self.layers else None
        )
        true_rows, found_rows, none = truth.by("image_id"), found.by("image_id"), np.zeros(0, np.int64)
        for i in range(len(images)):
            image_id, name, split = int(images["image_id"][i]), images["class_name"][i].lower(), images["split"][i]
            size = int(images["height"][i]), int(images["width"][i])
            own = truth.take(true_rows.get(image_id, none))
            own = own.take(own["category_name"] == name)
            if not len(own):
                continue
            predicted = found.take(found_rows.get(image_id, none))
            yield (
                split,
                ImageResult(
                    image_id,
                    int(images["class_id"][i]),
                    None if outlines is None else _outline(outlines, image_id, name, *size),
                    own.ragged("rle"),
                    [self.parts[name, part] for part in own["part_name"]],
                    predicted.ragged("rle"),
                    predicted["cluster"] if "cluster" in predicted.columns else np.zeros(len(predicted), np.int64),
                    predicted["score"],
                    size,
                    votes=split == self.splits[0],
                ),
            )


def _read(layer: Layer, block: int, *columns: str) -> Rows:
    """Masks with their images, and those of the columns that the layer has."""
    return layer.read(block, ["image_id", "rle", *(name for name in columns if name in layer.table.names)])


def _outline(outlines: Rows, image_id: int, name: str, height: int, width: int) -> bytes:
    own = np.flatnonzero((outlines["image_id"] == image_id) & (outlines["category_name"] == name))
    return masks.union(outlines.ragged("rle").take(own), height, width)


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterator[Counts]]]:
    """``map``, in this process or over several."""
    if processes < 2:
        yield map
        return
    # Fresh interpreters, for the threads of this one cannot be copied. Ctrl-C is for this process to answer.
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _ignore_interrupts)
    try:
        yield executor.map
    finally:
        executor.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
