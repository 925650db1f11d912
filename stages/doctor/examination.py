"""All checks in their order: those of the machine, and with a store those of its storage, images and networks."""

from __future__ import annotations

from collections.abc import Iterator

from pdstore import Store
from pdstore.errors import PdError, Preempted
from stages.doctor.finding import GROUPS, Finding
from stages.doctor.images import image_findings
from stages.doctor.machine import gpu_finding, machine_findings
from stages.doctor.networks import network_findings
from stages.doctor.programs import program_findings, report_findings
from stages.doctor.rehearsed import rehearsed
from stages.doctor.storage import room_findings, storage_findings
from stages.plan.cost import measured, node_costs
from stages.plan.project import Project
from stages.plan.states import states
from stages.run.rehearsal import IMAGES
from stages.unit import Control

__all__ = ["examine"]


def examine(
    store: Store | None, *, is_rehearsed: bool = False, control: Control | None = None, images: int = IMAGES
) -> list[Finding]:
    """The findings, group by group. Nothing is committed, and what is written is removed.

    Args:
        store: without one, only the machine is examined.
        is_rehearsed: compute ``images`` images with every node, too.

    Raises:
        Preempted: a stop was requested during the rehearsal.
    """
    control = control or Control()
    control.note("Loading the libraries …")
    found = [*program_findings(), *machine_findings(), gpu_finding()]
    if store is not None:
        found += storage_findings(store)
        found += _of_project(store, is_rehearsed, control, images)
    return sorted(found, key=lambda finding: GROUPS.index(finding.group))


def _of_project(store: Store, is_rehearsed: bool, control: Control, images: int) -> Iterator[Finding]:
    try:
        project = Project.open(store)
        yield from report_findings(project.nodes)
        yield from image_findings(project)
        yield from network_findings(project, control)
        found = states(project)
        costs = node_costs(project, found, measured(project))
        if is_rehearsed:
            rehearsal = rehearsed(project, found, control, images)
            costs = rehearsal.costs
            yield from rehearsal.findings
        yield from room_findings(project, found, costs)
    except Preempted:
        raise
    except PdError as error:
        # A damaged record is in the way of the checks that follow; those before it stand.
        where = f"{error.where}: " if error.where else ""
        yield Finding("storage", "records of the store", f"{where}{error.problem}", "fails", error.fix)
