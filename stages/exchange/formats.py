"""Every format that ``pd export`` writes, by its name. Its code is imported only when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pdstore import Layer
from stages.exchange.choice import NUMBERS, Category
from stages.exchange.images import ImageMasks

__all__ = ["FORMATS", "Format", "Source", "Writer"]


@dataclass(frozen=True)
class Source:
    """What is exported, as a writer sees it.

    Attributes:
        layer: the node's layer. images: the layer of its images.
        categories: all classes of the node's masks, in order.
        options: options of the format, such as ``{"polygons": True}``.
        record: what made the file: node, layer, table, condition, selection, and the store; JSON values.
    """

    layer: Layer
    images: Layer
    categories: Sequence[Category]
    options: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)


class Writer(Protocol):
    """Writes one format. A block is written whole before the next one begins; several runs may share the work."""

    def block(self, images: Iterable[ImageMasks], folder: Path) -> Mapping[str, int] | None:
        """Write what becomes of one block's images into ``folder``, which is empty, in files of any name.

        ``images`` is read once, and may be empty. Memory is bounded by the block.

        Returns:
            Reason -> number of masks that the format cannot express; None if there are none.
        """
        ...

    def finish(self, blocks: Sequence[Path], out: Path) -> None:
        """Put the output together at ``out``, which does not exist yet, from the folders of all blocks, in order.

        The folders stay as they are: link or copy their files, so that a run that is stopped here can do it again.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format.

    Attributes:
        doc: what it is, for the help text.
        entry: module with ``writer(source: Source) -> Writer``.
        is_folder: the output is a folder; otherwise, a file.
        tables: the tables of masks that it can express.
        options: names of the options that it takes.
    """

    doc: str
    entry: str
    is_folder: bool = False
    tables: tuple[str, ...] = tuple(NUMBERS)
    options: frozenset[str] = frozenset()

    def load(self, source: Source) -> Writer:
        """Its writer. Raises UsageError if it needs a package that is not installed."""
        writer: Writer = importlib.import_module(self.entry).writer(source)
        return writer


FORMATS: Mapping[str, Format] = {
    "coco": Format(
        doc="COCO instances: one JSON file",
        entry="stages.exchange.coco",
        options=frozenset({"polygons"}),
    ),
    "panoptic": Format(
        doc="COCO panoptic: a folder of PNG files, one segment per pixel",
        entry="stages.exchange.panoptic",
        is_folder=True,
    ),
}
