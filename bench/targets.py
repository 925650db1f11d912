"""What is asked of every measured ratio: one row per name, in the order of the table that ``make bench`` prints."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True)
class Target:
    """A figure and its bound.

    Attributes:
        unit: ``x`` is a ratio: how many times better than ``against``, unless the bound is ``at_most``.
        at_least, at_most: the bound; one of the two is None.
    """

    name: str
    unit: str
    against: str
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


TARGETS = {
    target.name: target
    for target in (
        Target("read.lance", "x", "Lance, images per CPU second of shuffled streaming", 1.0),
        Target("read.files", "x", "one torch.save per image, the same", 12),
        Target("read.mds", "x", "MDS, the same", 5),
        Target("read.webdataset", "x", "WebDataset, the same", 5),
        Target("read.one", "x", "Lance's take, masks of one random image", 0.5),
        Target("write.parquet", "x", "one Parquet file, writing the same records", 0.5),
        Target("disk", "x", "one torch.save per image, bytes on disk", 5),
        Target("ranking.choice", "x", "decoding all masks first, an object's segments", 70),
        Target("labels", "x", "decoding all masks first, labels of an image", 25),
        Target("proposals.host", "x", "dense masks on the host, host work per image", 50),
        Target("predict.host", "x", "dense masks on the host, host work per image", 20),
        Target("ranking.passes", "x", "one pass, bytes read for 22,000 classes", at_most=1.2),
        Target("crf", "x", "pydensecrf on the whole picture, at 99.0 % equal labels in the object", 4),
        Target("grouping.assign", "x", "upsampling all channels first", 40),
        Target("grouping.kmeans", "x", "scikit-learn one by one, 64 objects, n_init 10", 4),
        Target("loader", "x", "a Dataset over JPEG and .pt files, augmented samples per CPU second", 2.5),
        Target("overlap", "x", "the sum of 40 ms of network and 40 ms of host work per image", 1.7),
        Target("runner", "x", "the kernel alone, stage crf", at_most=1.05),
        Target("status.14000", "s", "a cold process, 14,000 blocks x 12 layers", at_most=1.5),
        Target("sql.open.14000", "s", "a cold process, 14,000 blocks x 12 layers", at_most=1.5),
        Target("sql.after_commit.14000", "s", "the same after one new commit", at_most=2),
        Target("sql.count.14000", "x", "DuckDB on one Parquet file of the same rows", at_most=3),
        Target("sql.groupby.14000", "x", "DuckDB on one Parquet file of the same rows", at_most=3),
        Target("sql.memory.14000", "MB", "peak of the process", at_most=600),
        Target("growth", "x", "10 blocks, cost per block of a stage's run at 14,000", at_most=1.1),
        Target("view.first.1280000", "ms", "a page of pd view on 1.28 million images, first request", at_most=300),
        Target("view.next.1280000", "ms", "the pages that follow while one scrolls", at_most=150),
        Target("view.memory.1280000", "MB", "peak of the server", at_most=1000),
        Target("startup.status", "s", "CPU time, a small store", at_most=0.7),
    )
}
