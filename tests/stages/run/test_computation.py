from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import Store
from pdstore.errors import InputMissing
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.run.computation import Computation
from stages.unit import Control
from tests.stages.run.commands import run

SILENT = Control()


def computation(store: Store, name: str, max_error_rate: float = 0.5, control: Control = SILENT) -> Computation:
    project = Project.open(store)
    return Computation(project, {name: Inputs(project, name)}, control, max_error_rate)


def test_a_unit_is_computed_without_being_committed(ready: Store) -> None:
    """The output is what a run commits, with the digests of what was read; the layer stays empty."""
    [computed] = computation(ready, "crf").compute(1)
    assert Project.open(ready).layer("crf").units() == []
    run(ready, "crf")
    layer = Project.open(ready).layer("crf")
    assert dict(computed.inputs) == dict(layer.manifest(1).inputs)
    assert computed.output.rows["area"].tolist() == layer.read(1)["area"].tolist()
    assert (computed.unit.number, computed.images, computed.rejected) == (1, 3, 0)


def test_images_are_counted_for_blocks_alone(ready: Store) -> None:
    """A bucket of classes has no images of its own, so that error rates are those of blocks."""
    run(ready, "crf")
    run(ready, "candidates")
    ranking = computation(ready, "ranking")
    [computed] = ranking.compute(0)
    assert (computed.images, computed.rejected) == (0, 0)
    assert ranking.images_per_unit == 1 and computation(ready, "crf").images_per_unit == 3


def test_rejected_images_are_counted_once(classical: Callable[..., Store], folder: Path) -> None:
    """Damaged files become error rows of ingest, which is handed the listed images."""
    store = classical()
    first = Project.open(store).listing.read(0)
    (folder / first[0].key).write_bytes(b"")
    [computed] = computation(store, "ingest").compute(0)
    assert (computed.images, computed.rejected, len(computed.output.rows)) == (3, 1, 2)


def test_a_disk_that_is_not_there_is_no_property_of_the_images(classical: Callable[..., Store], folder: Path) -> None:
    """If more files of a block are missing than may be, nothing is taken for an error row; a higher bound allows it."""
    store = classical()
    for image in Project.open(store).listing.read(2)[:2]:
        (folder / image.key).unlink()
    with pytest.raises(InputMissing, match=rf"{folder}: the files of 2 of 3 images are missing. Restore them"):
        computation(store, "ingest").compute(2)
    assert computation(store, "ingest", max_error_rate=0.9).compute(2)[0].rejected == 2
    assert computation(store, "ingest").compute(1)[0].rejected == 0


def test_what_a_unit_reports_reaches_the_run(ready: Store) -> None:
    """The control of the run is that of every unit."""
    counts: list[int] = []
    computation(ready, "crf", control=Control(advance=counts.append)).compute(0)
    assert sum(counts) == 3
