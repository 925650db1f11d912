"""What a stage's function sees: one unit of work, its inputs, and a way to report what it leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pdstore import Layer, Rows
from pdstore.errors import Preempted
from pdstore.files import Files
from schemas.tables import ERRORS
from stages.block import Block
from stages.source.listing import ImageClass, Listed
from stages.training_place import TrainingPlace

__all__ = ["Control", "Coverage", "LeftOut", "Output", "Setup", "Unit", "UnitsOfOneBlock"]

LeftOut = Literal["image", "object", "part", "class", "annotation", "name"]
"""What a row of ``errors`` is about. Only an image counts for ``--max-error-rate``."""


@dataclass(frozen=True)
class Coverage:
    """What files that list all annotations have in common with a store.

    Attributes:
        images, in_store: images that the files list, and how many of these are in the store.
        annotations, strays: annotations in the files, and how many of these belong to no listed image.
    """

    images: int
    in_store: int
    annotations: int
    strays: int


@dataclass(frozen=True)
class Output:
    """The result of a unit of work: rows of the stage's table, and extra files such as a network's weights."""

    rows: Rows
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """What a stage needs once, before its first unit.

    Attributes:
        classes: the store's vocabulary.
        models: input role -> local folder with the files of a trained network.
        files: name of a file setting -> local path.
        device: ``cpu`` or ``cuda``.
        listed: all images of the store, block by block.
        root: the image folder.
    """

    classes: Sequence[ImageClass]
    models: Mapping[str, Path]
    files: Mapping[str, Path]
    device: str = "cpu"
    listed: Callable[[], Iterable[Listed]] = tuple
    root: str = ""


@dataclass(frozen=True)
class Control:
    """How a unit talks to the run while it is computed.

    Attributes:
        should_stop: returns true once a signal has requested a stop.
        advance: reports that n more images (or training steps) are done.
        note: prints a line.
        resumed: reports that n training steps were done by an earlier run.
    """

    should_stop: Callable[[], bool] = lambda: False
    advance: Callable[[int], None] = lambda _: None
    note: Callable[[str], None] = lambda _: None
    resumed: Callable[[int], None] = lambda _: None


@dataclass
class Unit:
    """One unit of work.

    Attributes:
        node: name of the node.
        number: the block, the bucket of classes, or 0.
        images: image files are read from here.
        layers: input role -> the layers that are read, in the order in which the pipeline names them.
        committed: node -> the units of its layer that are read, if the runner has fixed them.
        listed: for a stage with ``reads_listing``, the block's listed images.
        training: for a training, where it keeps its state.
        faults: the records of ``errors`` so far.
        coverage: for a stage that reads annotations, what their files have in common with the store.
        num_used: how many annotations became parts so far.
        left_out: how many of these are about something smaller than an image, by what it is.
    """

    node: str
    number: int
    images: Files
    layers: Mapping[str, Sequence[Layer]]
    committed: Mapping[str, Collection[int]] = field(default_factory=dict)
    listed: Sequence[Listed] = ()
    training: TrainingPlace | None = None
    control: Control = Control()
    faults: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    coverage: Coverage | None = None
    num_used: int = 0
    _images_of: dict[str, set[int]] = field(default_factory=dict)

    @cached_property
    def own_block(self) -> Block:
        """The block that this unit is, for a stage whose units are blocks."""
        return self.block(self.number)

    def block(self, number: int) -> Block:
        """A block of the unit's inputs."""
        return Block(self, number)

    def layer(self, role: str) -> Layer:
        return self.layers[role][0]

    def blocks(self, *roles: str) -> list[int]:
        """The blocks that all nodes of these roles have committed; with ``--allow-partial`` these may not be all."""
        members = [layer for role in roles for layer in self.layers[role]]
        committed = [self.committed[m.node] if m.node in self.committed else m.units() for m in members]
        return sorted(set.intersection(*map(set, committed)))

    def reject(
        self, image_id: int, reason: str, detail: str, subject: str | None = None, *, of: LeftOut = "image"
    ) -> None:
        """Add a row to ``errors``: what was left out, and why.

        Args:
            image_id: the image that it is about, or -1.
            subject: the image's key unless it is given.
            of: what is left out. An image that lost a part or an object is not left out itself.
        """
        name = self.own_block.keys.get(image_id, "") if subject is None else subject
        self.faults.append({"image_id": image_id, "subject": name, "reason": reason, "detail": detail})
        if of != "image":
            self.left_out[of] += 1
        elif image_id >= 0:
            self._images_of.setdefault(reason, set()).add(image_id)

    def check_stop(self) -> None:
        """Raises Preempted once a signal has requested a stop; called between images and between blocks."""
        if self.control.should_stop():
            raise Preempted(f"stopped in unit {self.number}, which is not committed", self.node)

    def advance(self, images: int) -> None:
        """Report that this many more images (or training steps, or blocks) are done."""
        self.control.advance(images)

    def note(self, text: str) -> None:
        """Print a line."""
        self.control.note(text)

    def num_rejected(self, reason: str = "") -> int:
        """How many images were left out so far, for ``reason`` or, if it is empty, for any reason."""
        return len(self._images_of.get(reason, ()) if reason else set().union(*self._images_of.values()))

    def errors(self) -> Rows:
        """The rows of ``errors``."""
        return Rows.from_records(ERRORS, sorted(self.faults, key=lambda row: (row["image_id"], row["subject"])))


class UnitsOfOneBlock:
    """Units of several nodes that are the same block and read the same images, as the owner of that block.

    Each picture is decoded and counted once; one that is left out is a row of ``errors`` of every node.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units
        self.images, self.layers = units[0].images, units[0].layers

    @cached_property
    def block(self) -> Block:
        return Block(self, self._units[0].number)

    def reject(self, image_id: int, reason: str, detail: str) -> None:
        for unit in self._units:
            unit.reject(image_id, reason, detail)

    def check_stop(self) -> None:
        self._units[0].check_stop()

    def advance(self, images: int) -> None:
        self._units[0].advance(images)

    def note(self, text: str) -> None:
        self._units[0].note(text)
