"""What a stage's function sees: one unit of work, its inputs, and a way to report what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pdstore import Layer, Rows
from pdstore.errors import Preempted
from pdstore.files import Files
from schemas.tables import ERRORS
from stages.block import Block
from stages.source.listing import ImageClass, Listed
from stages.training_place import TrainingPlace

__all__ = ["Control", "Output", "Setup", "Unit"]


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
    """

    classes: Sequence[ImageClass]
    models: Mapping[str, Path]
    files: Mapping[str, Path]
    device: str = "cpu"
    listed: Callable[[], Iterable[Listed]] = tuple


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

    def reject(self, image_id: int, reason: str, detail: str, subject: str | None = None) -> None:
        """Add a row to ``errors``: what was left out, and why. The subject is the image's key unless it is given."""
        name = self.own_block.keys.get(image_id, "") if subject is None else subject
        self.faults.append({"image_id": image_id, "subject": name, "reason": reason, "detail": detail})

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
        """How many images were rejected so far, for ``reason`` or, if it is empty, for any reason."""
        reasons = (reason,) if reason else {fault["reason"] for fault in self.faults}
        return len({f["image_id"] for f in self.faults if f["reason"] in reasons and f["image_id"] >= 0})

    def errors(self) -> Rows:
        """The rows of ``errors``."""
        return Rows.from_records(ERRORS, sorted(self.faults, key=lambda row: (row["image_id"], row["subject"])))
