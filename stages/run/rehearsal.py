"""A rehearsal: some images of a block computed in a temporary store, to learn what a node costs before it runs.

The nodes are rehearsed in the pipeline's order, each on what the store has committed for these images, or else on what
the rehearsal of its input gave. Nothing is written to the store. A first image is computed untimed, because it pays for
what happens once: compiled code, the first use of a GPU.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from pdstore import Layer, Store, StoreInfo
from pdstore.errors import PdError, Preempted
from pdstore.files import Files
from stages.plan.cost import Rate, Sample, per_of, rate_of_samples
from stages.plan.passes import passes
from stages.plan.project import Project
from stages.run.preflight import prepare_together
from stages.source.listing import Listed
from stages.unit import Control, Output, Unit

__all__ = ["IMAGES", "rehearse"]

IMAGES = 32
"""Images of a rehearsal, or all of the block if it has fewer."""
WARM_UP, TIMED = 0, 1
"""The two units of the temporary store: one image, and all images."""


Watch = Callable[[Sequence[str]], AbstractContextManager[None]]


def _unwatched(names: Sequence[str]) -> AbstractContextManager[None]:
    return nullcontext()


def rehearse(
    project: Project,
    names: Iterable[str],
    control: Control | None = None,
    images: int = IMAGES,
    watch: Watch = _unwatched,
) -> dict[str, Rate]:
    """The rates of the named nodes on ``images`` images of one block.

    A node that cannot be rehearsed has an unknown rate, which says why.

    Args:
        control: stops between two images; notes say what is rehearsed.
        watch: is entered with the names of a pass before its nodes are made ready, and left when they are done.

    Raises:
        Preempted: a stop was requested.
    """
    with tempfile.TemporaryDirectory(prefix="pd-rehearsal-") as folder:
        rehearsal = _Rehearsal(project, folder, control or Control(), images, watch)
        wanted = set(names)
        rates: dict[str, Rate] = {}
        for of_pass in passes(project.pipeline, [name for name in project.nodes if name in wanted]):
            rates |= rehearsal.of_pass(of_pass)
        return rates


class _Rehearsal:
    """A temporary store with the layers that nodes read and write."""

    def __init__(self, project: Project, folder: str, control: Control, images: int, watch: Watch) -> None:
        self.project, self.control, self.watch = project, control, watch
        info = project.store.info
        self.store = Store.create(folder, StoreInfo(info.block_size, info.seed, info.source, info.vocabulary))
        self.block = _best_block(project)
        self.listed = project.listing.read(self.block)[:images]
        self._layers: dict[str, Layer] = {}

    def of_pass(self, names: Sequence[str]) -> dict[str, Rate]:
        """The rates of nodes that share a pass, which divide its time."""
        stage = self.project[names[0]].stage
        why = self._obstacle(names[0])
        if not why:
            self.control.note(f"Rehearsing {' + '.join(names)} on {len(self.listed)} images …")
            try:
                with self.watch(names):
                    return self._timed(names)
            except Preempted:
                raise
            except PdError as error:
                why = f"its rehearsal failed: {error}"
            except Exception as error:
                # Code of a detector or a damaged picture: the other nodes can be measured all the same.
                why = f"its rehearsal failed: {type(error).__name__}: {error}"
        return {name: Rate.unknown(per_of(stage), why) for name in names}

    def _obstacle(self, name: str) -> str:
        """Why a node cannot be rehearsed; empty if it can be."""
        stage = self.project[name].stage
        if stage.is_training:
            return f"a training is not rehearsed; take a few steps (pd stage run {name}), and its log has the rate"
        if stage.writes_model:
            return f"it runs once, whatever the number of images: pd stage run {name}"
        if stage.is_barrier:
            return "it reads all of its input at once; its rate is known when a first unit of it is committed"
        lacking = [read for read in self.project[name].upstream() if self._layer(read) is None]
        return f"its input {lacking[0]} is not committed, and was not rehearsed" if lacking else ""

    def _timed(self, names: Sequence[str]) -> dict[str, Rate]:
        images, process = prepare_together(self.project, names)
        outputs: dict[str, Layer] = {}
        for name in names:
            node = self.project[name]
            outputs[name] = self.store.declare(name, node.identity, node.stage.output, "rehearsal")
        self._compute(names, WARM_UP, images, process, outputs)
        found = self._compute(names, TIMED, images, process, outputs)
        self._layers |= outputs
        basis = f"rehearsal of {len(self.listed)} images"
        return {
            name: Rate.unknown("image", f"all {len(self.listed)} images of its rehearsal were left out ({reason})")
            if reason
            else rate_of_samples([sample], "image", basis)
            for name, (sample, reason) in found.items()
        }

    def _compute(
        self,
        names: Sequence[str],
        number: int,
        images: Files,
        process: Callable[[Sequence[Unit]], list[Output]],
        outputs: Mapping[str, Layer],
    ) -> dict[str, tuple[Sample, str]]:
        """Node -> what its unit cost, and the commonest reason if no image could be used."""
        units = [self._unit(name, number, images) for name in names]
        started = time.time()
        done = {}
        for unit, output in zip(units, process(units), strict=True):
            layer = outputs[unit.node]
            done[unit.node] = layer.commit(number, output.rows, errors=unit.errors(), extra=output.files), unit
        seconds = (time.time() - started) / len(units)
        found = {}
        for name, (manifest, unit) in done.items():
            count, rows = len(unit.listed), manifest.rows.get(outputs[name].table.name, 0)
            sample = Sample(count, seconds, manifest.size, rows, socket.gethostname())
            reasons = Counter(row["reason"] for row in unit.faults).most_common(1)
            found[name] = sample, str(reasons[0][0]) if reasons and unit.num_rejected() >= count else ""
        return found

    def _unit(self, name: str, number: int, images: Files) -> Unit:
        layers = {role: [self._existing(read) for read in reads] for role, reads in self.project[name].inputs.items()}
        return Unit(
            node=name,
            number=number,
            images=images,
            layers=layers,
            listed=self._images_of(number),
            control=Control(should_stop=self.control.should_stop),
        )

    def _images_of(self, number: int) -> Sequence[Listed]:
        return self.listed[:1] if number == WARM_UP else self.listed

    def _existing(self, name: str) -> Layer:
        layer = self._layer(name)
        assert layer is not None, "a node with a missing input is not rehearsed"
        return layer

    def _layer(self, name: str) -> Layer | None:
        """The layer of an input: rehearsed; or the images of it that are rehearsed; or, of a barrier, all of it."""
        if name in self._layers:
            return self._layers[name]
        layer = self.project.layer(name)
        if self.project[name].stage.is_barrier:
            return layer if len(layer.units()) == self.project.num_units(name) else None
        if self.block not in layer.manifests([self.block]):
            return None
        rows = layer.read(self.block)
        copy = self.store.declare(name, layer.info.identity, layer.table, layer.info.program)
        for number in (WARM_UP, TIMED):
            wanted = [image.image_id for image in self._images_of(number)]
            copy.commit(number, rows.take(np.isin(rows["image_id"], wanted)))
        self._layers[name] = copy
        return copy


def _best_block(project: Project) -> int:
    """The block that most nodes have committed, the first of these."""
    names = [name for name in project.nodes if not project[name].stage.is_barrier]
    counts = Counter(unit for name in names for unit in project.layer(name).units())
    return min(counts, key=lambda unit: (-counts[unit], unit), default=0)
