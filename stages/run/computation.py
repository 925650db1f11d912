"""Computing a unit of one node or of several: calling the stage's function, and recording which inputs it read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pdstore.errors import InputMissing, StorageFailure
from stages.block import MISSING_FILE, UNREADABLE
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.run.preflight import prepare_together
from stages.training_place import TrainingPlace
from stages.unit import Control, Output, Unit

__all__ = ["Computation", "Computed"]


@dataclass(frozen=True)
class Computed:
    """A unit and its output.

    Attributes:
        inputs: input role -> digest of the content that was read, taken before the work began.
        is_block: the unit is a block.
    """

    unit: Unit
    output: Output
    inputs: Mapping[str, str]
    is_block: bool

    @property
    def images(self) -> int:
        """Number of images in the block; 0 if the unit is not a block."""
        return (len(self.unit.listed) or len(self.unit.own_block.keys)) if self.is_block else 0

    @property
    def rejected(self) -> int:
        """Number of images in the block that were left out; 0 if the unit is not a block."""
        return self.unit.num_rejected() if self.is_block else 0


class Computation:
    """The function of a stage, ready to compute units of a node, or of the nodes of a pass.

    Args:
        inputs: node -> what its units read. Several nodes share a pass: see :mod:`stages.plan.passes`.

    Raises:
        UsageError, InputMissing: see :func:`stages.run.preflight.prepare_together`.
    """

    def __init__(self, project: Project, inputs: Mapping[str, Inputs], control: Control, max_error_rate: float) -> None:
        self._project, self._inputs, self._control, self._max_error_rate = project, inputs, control, max_error_rate
        node = project[next(iter(inputs))]
        self._stage = node.stage
        self._place = TrainingPlace(project.store, node.name, node.fingerprint) if self._stage.is_training else None
        self._images, self._process = prepare_together(project, list(inputs))

    @property
    def images_per_unit(self) -> float:
        """The mean number, because the last block of a listing is often shorter; 1 for a unit that is not a block."""
        listing = self._project.listing
        return listing.images / listing.blocks if self._stage.unit == "block" else 1

    def compute(self, number: int, names: Sequence[str] = ()) -> list[Computed]:
        """Try once to compute a unit of each of the named nodes, unless named of all.

        Raises whatever the stage raises; InputMissing if too many files are missing.
        """
        chosen = list(names or self._inputs)
        units, read = [self.unit(name, number) for name in chosen], [self._read(name, number) for name in chosen]
        outputs = self._process(units)
        is_block = self._stage.unit == "block"
        computed = [Computed(*done, is_block) for done in zip(units, outputs, read, strict=True)]
        for one in computed:
            self._check_files(one)
        return computed

    def follow(self) -> None:
        """Take part in a training as one of the further ranks; the first rank claims and commits."""
        self._process([self.unit(name, 0) for name in self._inputs])

    def _read(self, name: str, number: int) -> Mapping[str, str]:
        inputs = self._inputs[name].content_of(number)
        assert inputs is not None, "a unit is planned only when its input is committed"
        return inputs if self._place is None else self._place.frozen_inputs(inputs)

    def unit(self, name: str, number: int) -> Unit:
        """A unit as the stage's function sees it."""
        inputs = self._inputs[name]
        return Unit(
            node=name,
            number=number,
            images=self._images,
            layers=inputs.layers,
            committed=inputs.committed,
            listed=self._project.listing.read(number) if self._stage.reads_listing else (),
            training=self._place,
            control=self._control,
        )

    def _check_files(self, computed: Computed) -> None:
        """Many missing files in a block mean an absent disk; they say nothing about the images."""
        unit, root = computed.unit, self._project.source.root
        missing, closed = unit.num_rejected(MISSING_FILE), unit.num_rejected(UNREADABLE)
        if not missing and not closed:
            return
        what = "are missing or cannot be read" if closed else "are missing"
        problem = f"the files of {missing + closed} of {computed.images} images {what}"
        if self._is_away(unit):
            fix = "Mount the disk and run the same command again; nothing was recorded of these images"
            raise StorageFailure(f"{problem}, and the image folder cannot be read any more", root, fix)
        if missing + closed > self._max_error_rate * computed.images:
            fix = "Restore them (is the disk mounted?) and run again. Or do without them: --max-error-rate 1"
            raise InputMissing(problem, root, fix)

    def _is_away(self, unit: Unit) -> bool:
        """Whether the disk was lost on the way: a file that was read a moment ago cannot be read again."""
        keys = [listed.key for listed in unit.listed] or list(unit.own_block.keys.values())
        left_out = {fault["subject"] for fault in unit.faults}
        sound = next((key for key in keys if key not in left_out), None)
        try:
            if sound is not None:
                unit.images.read(sound)
            elif self._max_error_rate < 1 and unit.images.is_local:
                return not unit.images.names("")
        except (OSError, StorageFailure):
            return True
        return False
