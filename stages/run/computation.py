"""Computing a unit: the stage's function on the unit's inputs, and what those inputs were."""

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
    """A unit's output, and what its input was: role -> digest, taken before the work began."""

    unit: Unit
    output: Output
    inputs: Mapping[str, str]
    is_block: bool

    @property
    def images(self) -> int:
        """Images of the block that the unit is; 0 if it is no block."""
        return (len(self.unit.listed) or len(self.unit.own_block.keys)) if self.is_block else 0

    @property
    def rejected(self) -> int:
        """Images of the block that became rows of ``errors``."""
        return self.unit.num_rejected() if self.is_block else 0


class Computation:
    """A node's function, ready for its units.

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
        """The mean: the last block of a listing is often shorter. 1 for a unit that is no block."""
        listing = self._project.listing
        return listing.images / listing.blocks if self._node.stage.unit == "block" else 1

    def compute(self, number: int) -> Computed:
        """One try at a unit. Raises whatever the stage raises; InputMissing if the image files are not there."""
        unit = self._unit(number)
        inputs = self._inputs.content_of(number)
        assert inputs is not None, "a unit is planned only when its input is committed"
        if self._place is not None:
            inputs = self._place.frozen_inputs(inputs)
        computed = Computed(unit, self._process(unit), inputs, self._node.stage.unit == "block")
        self._check_files(computed)
        return computed

    def follow(self) -> None:
        """Compute a training beside the first rank, which does the rest."""
        self._process(self._unit(0))

    def _unit(self, number: int) -> Unit:
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
        """Files that are missing by the block are a disk that is not there, and no property of the images."""
        missing = computed.unit.num_rejected(MISSING_FILE)
        if missing and missing > self._max_error_rate * computed.images:
            fix = "Bring them back (is the disk mounted?) and run again. Or do without them: --max-error-rate 1"
            problem = f"the files of {missing} of {computed.images} images are missing"
            raise InputMissing(problem, self._project.source.root, fix)
