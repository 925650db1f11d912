"""What a stage declares: its settings, its inputs, the table it writes, the unit it commits, and its code."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pdstore.table import Table
from schemas.base import Settings

if TYPE_CHECKING:
    from stages.unit import Output, Setup, Unit

__all__ = ["CLASS_NAMES", "CONFUSION", "MODEL", "PART_NAMES", "Role", "Stage"]

MODEL = "model"
"""The pseudo-table of an input that is a trained network."""

CLASS_NAMES = "classes.json"
"""The file beside a segmenter's weights that names its output classes."""

CONFUSION = "confusion.json"
"""The file beside an evaluation's rows that holds the confusion of each object class's parts, in pixels."""

PART_NAMES = "parts.json"
"""The file beside a supervised part segmenter's weights that lists the [category, part] of each output class."""


@dataclass(frozen=True)
class Role:
    """An input: which tables it accepts, whether it may be left out, and whether it may name several nodes."""

    tables: tuple[str, ...]
    is_optional: bool = False
    is_list: bool = False


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The declaration of a stage.

    Attributes:
        version: raised whenever the same settings would give different results.
        unit: ``block``; ``bucket`` of as many classes as its setting ``classes_per_unit`` says; or ``whole``.
        entry: module with ``start(settings, setup) -> (unit -> output)``.
        late_settings: settings that act after the costly part of the work. Nodes that differ only in these can be
            computed in one pass; ``entry`` then also has ``start_together``: see :meth:`load_together`.
        writes_model: its output is a network, stored in the extra files of its only unit.
        is_training: it learns in steps and resumes from checkpoints.
        reads_listing: its units receive the listed images instead of rows of ``images``.
        uses_network: it computes with torch, on a GPU if there is one; all other stages run on the CPU and do not
            load torch.
        is_truth: its rows were drawn by people; evaluations score against them, unless they correct another node's.
    """

    name: str
    doc: str
    settings: type[Settings]
    output: Table
    entry: str
    inputs: Mapping[str, Role] = field(default_factory=dict)
    unit: Literal["block", "bucket", "whole"] = "block"
    version: int = 1
    late_settings: frozenset[str] = frozenset()
    writes_model: bool = False
    is_training: bool = False
    reads_listing: bool = False
    uses_network: bool = False
    is_truth: bool = False

    def num_units(self, settings: Any, blocks: int, classes: int) -> int:
        """How many units a node of these settings has in a store with this many blocks and classes."""
        if self.unit == "bucket":
            return -(-classes // int(settings.classes_per_unit))
        return blocks if self.unit == "block" else 1

    @property
    def is_barrier(self) -> bool:
        """True if each unit needs its whole input."""
        return self.unit != "block"

    def load(self) -> Callable[[Any, Setup], Callable[[Unit], Output]]:
        """Import the stage's code. Raises ImportError if a package is missing."""
        start: Callable[[Any, Setup], Callable[[Unit], Output]] = importlib.import_module(self.entry).start
        return start

    def load_together(
        self,
    ) -> Callable[[Mapping[str, Any], Mapping[str, Setup]], Callable[[Sequence[Unit]], list[Output]]]:
        """Import the stage's code for several nodes that share a pass. Raises ImportError if a package is missing.

        Returns:
            A function of settings and setups by the name of the node. It returns a function of units of some or all of
            these nodes, which have one number; its outputs are equal, to the byte, to those of each node alone.
        """
        start: Callable[[Mapping[str, Any], Mapping[str, Setup]], Callable[[Sequence[Unit]], list[Output]]]
        start = importlib.import_module(self.entry).start_together
        return start
