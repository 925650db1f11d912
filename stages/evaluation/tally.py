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

from pdstore import Layer
from stages.evaluation.samples import Parts, Scored
from stages.kernels.evaluation import Evaluation
from stages.kernels.protocol import Protocol

__all__ = ["Counts", "Tally"]

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
        reference_splits: published protocol: the images that name the clusters and are scored; all if empty.
    """

    layers: Mapping[str, Layer]
    clusters: Mapping[str, int]
    parts: Parts
    protocols: Sequence[Protocol]
    splits: tuple[str, str]
    limits: tuple[int, ...]
    reference_splits: tuple[str, ...] = ()

    def nothing(self) -> Counts:
        return {
            (role, protocol.name): Evaluation(len(self.parts), number, protocol, self.limits)
            for role, number in self.clusters.items()
            for protocol in self.protocols
        }

    def of_block(self, block: int) -> Counts:
        counts = self.nothing()
        for role in self.clusters:
            scored = Scored.read(self.layers, role, block, has_clusters=bool(self.clusters[role]))
            for protocol in self.protocols:
                for split, sample in scored.samples(self.parts, protocol, self.splits[0]):
                    if split in (self.splits if protocol.splits else self.reference_splits or (split,)):
                        counts[role, protocol.name].add(sample)
        return counts

    def of_blocks(self, blocks: Sequence[int], processes: int) -> Iterator[Counts]:
        """The counts of all blocks so far, after each block."""
        total = self.nothing()
        with _mapping(min(processes, len(blocks))) as each:
            for counts in each(self.of_block, blocks):
                total = {key: total[key] + more for key, more in counts.items()}
                yield total


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
