"""Computing a unit: calling the stage's function, and recording which inputs it read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pdstore.errors import InputMissing
from stages.block import MISSING_FILE
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.run.preflight import prepare
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
    """The function of a node's stage, ready to compute units.

    Raises:
        UsageError, InputMissing: see :func:`stages.run.preflight.prepare`.
    """

    def __init__(self, project: Project, name: str, inputs: Inputs, control: Control, max_error_rate: float) -> None:
        self._project, self._node, self._inputs, self._control = project, project[name], inputs, control
        self._max_error_rate = max_error_rate
        is_training = self._node.stage.is_training
        self._place = TrainingPlace(project.store, name, self._node.fingerprint) if is_training else None
        self._images, self._process = prepare(project, name)

    @property
    def images_per_unit(self) -> float:
        """The mean number, because the last block of a listing is often shorter; 1 for a unit that is not a block."""
        listing = self._project.listing
        return listing.images / listing.blocks if self._node.stage.unit == "block" else 1

    def compute(self, number: int) -> Computed:
        """Try once to compute a unit. Raises whatever the stage raises; InputMissing if too many files are missing."""
        unit = self.unit(number)
        inputs = self._inputs.content_of(number)
        assert inputs is not None, "a unit is planned only when its input is committed"
        if self._place is not None:
            inputs = self._place.frozen_inputs(inputs)
        computed = Computed(unit, self._process(unit), inputs, self._node.stage.unit == "block")
        self._check_files(computed)
        return computed

    def follow(self) -> None:
        """Take part in a training as one of the further ranks; the first rank claims and commits."""
        self._process(self.unit(0))

    def unit(self, number: int) -> Unit:
        """A unit as the stage's function sees it."""
        return Unit(
            node=self._node.name,
            number=number,
            images=self._images,
            layers=self._inputs.layers,
            committed=self._inputs.committed,
            listed=self._project.listing.read(number) if self._node.stage.reads_listing else (),
            training=self._place,
            control=self._control,
        )

    def _check_files(self, computed: Computed) -> None:
        """Many missing files in a block mean an absent disk; they say nothing about the images."""
        missing = computed.unit.num_rejected(MISSING_FILE)
        if missing and missing > self._max_error_rate * computed.images:
            fix = "Restore them (is the disk mounted?) and run again. Or do without them: --max-error-rate 1"
            problem = f"the files of {missing} of {computed.images} images are missing"
            raise InputMissing(problem, self._project.source.root, fix)
