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
from pdstore.errors import UsageError
from stages.evaluation.samples import Parts, Scored
from stages.kernels.evaluation import Evaluation, Scores, true_parts_inside
from stages.kernels.protocol import Protocol
from stages.unit import Unit

__all__ = ["Counts", "Tally", "check_splits", "num_clusters"]

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
        inside: roles whose masks are objects: in place of them, the true parts inside them are scored, so that the
            clusters are the parts.
    """

    layers: Mapping[str, Layer]
    clusters: Mapping[str, int]
    parts: Parts
    protocols: Sequence[Protocol]
    splits: tuple[str, str]
    limits: tuple[int, ...]
    reference_splits: tuple[str, ...] = ()
    inside: frozenset[str] = frozenset()

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
                        counts[role, protocol.name].add(true_parts_inside(sample) if role in self.inside else sample)
        return counts

    def of_blocks(self, blocks: Sequence[int], processes: int) -> Iterator[Counts]:
        """After each block, the counts of all blocks so far."""
        total = self.nothing()
        with _mapping(min(processes, len(blocks))) as each:
            for counts in each(self.of_block, blocks):
                total = {key: total[key] + more for key, more in counts.items()}
                yield total

    def of_unit(self, unit: Unit, processes: int) -> Counts:
        """The sum of the counts of every block that all inputs of the unit have. Raises Preempted."""
        total = self.nothing()
        for so_far in self.of_blocks(unit.blocks(*unit.layers), processes):
            unit.check_stop()
            unit.advance(1)
            total = so_far
        return total


def num_clusters(layer: Layer) -> int:
    """The number of clusters in a layer: 0 for segments, which have none; 1 for whole objects."""
    if "cluster" not in layer.table.names:
        return int(layer.table.name == "objects")
    return 1 + max((int(rows["cluster"].max(initial=0)) for rows in layer.scan(["cluster"])), default=0)


def check_splits(
    scores: Scores, splits: tuple[str, str], where: str, *, needs_votes: bool, other_fix: str = ""
) -> None:
    """Raises UsageError if the honest protocol found no image to score, or none that names the clusters.

    Args:
        splits: the split that names the clusters and the split that is scored.
        other_fix: what the reader can do instead of setting another split.
    """
    found = (("vote_split", splits[0], scores.num_voters), ("test_split", splits[1], scores.num_images))
    for key, split, count in found:
        if not count and (needs_votes or key == "test_split"):
            problem = f"no image of split {split!r} has ground truth of its class"
            raise UsageError(problem, f"{where}, {key}", f"Set another {key}{other_fix}")


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
