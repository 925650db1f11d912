"""The counts of an evaluation over the blocks of a store, made by one process or by several.

Masks are read once for all protocols, block by block. The counts of a block are small, and counts can be added.
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
"""(input role, protocol) -> counts."""


@dataclass(frozen=True)
class Tally:
    """What to count, and how.

    Attributes:
        layers: input role of the stage ``eval`` -> its layer.
        clusters: input role that is scored -> its number of clusters; 0 for segments.
        parts: the parts that are scored.
        splits: honest protocol: the split that names the clusters and the split that is scored; others are left out.
        limits: the n of AR@n.
        reference_splits: published protocol: the splits that name the clusters and are scored; all splits if empty.
    """

    layers: Mapping[str, Layer]
    clusters: Mapping[str, int]
    parts: Parts
    protocols: Sequence[Protocol]
    splits: tuple[str, str]
    limits: tuple[int, ...]
    reference_splits: tuple[str, ...] = ()

    def nothing(self) -> Counts:
        """The counts before the first block."""
        return {
            (role, protocol.name): Evaluation(len(self.parts), number, protocol, self.limits)
            for role, number in self.clusters.items()
            for protocol in self.protocols
        }

    def of_block(self, block: int) -> Counts:
        """The counts of one block."""
        counts = self.nothing()
        for role in self.clusters:
            rows = Scored.read(self.layers, role, block, has_clusters=bool(self.clusters[role]))
            for protocol in self.protocols:
                for split, sample in rows.samples(self.parts, protocol, self.splits[0]):
                    if split in (self.splits if protocol.splits else self.reference_splits or (split,)):
                        counts[role, protocol.name].add(sample)
        return counts

    def of_blocks(self, blocks: Sequence[int], processes: int) -> Iterator[Counts]:
        """After each block, the counts of all blocks so far."""
        total = self.nothing()
        with _mapping(min(processes, len(blocks))) as each:
            for counts in each(self.of_block, blocks):
                total = {key: total[key] + more for key, more in counts.items()}
                yield total


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterator[Counts]]]:
    """``map``, in this process or over several processes."""
    if processes < 2:
        yield map
        return
    # Fresh interpreters, because the threads of this one cannot be copied. Only this process answers Ctrl-C.
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _ignore_interrupts)
    try:
        yield executor.map
    finally:
        executor.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
