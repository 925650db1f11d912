"""A rehearsal of every node on a few images: whether it runs here, how much memory it takes, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stages.doctor.finding import Finding, gigabytes
from stages.doctor.machine import memory_limit
from stages.doctor.memory import Peak, PeakMemory
from stages.plan.cost import NodeCost, Rate, measured, node_costs
from stages.plan.project import Project
from stages.plan.states import NodeState
from stages.run.rehearsal import IMAGES, rehearse
from stages.unit import Control

__all__ = ["Rehearsed", "rehearsed"]

GROUP = "rehearsal"
FAILED = "its rehearsal failed: "
TIGHT = 0.9
"""A node that takes more than this share of the memory may be killed."""


@dataclass(frozen=True)
class Rehearsed:
    """What each node did, and the rates by which costs are projected: of the rehearsal, or else of commits and logs."""

    findings: list[Finding]
    costs: list[NodeCost]


def rehearsed(
    project: Project, states: Sequence[NodeState], control: Control | None = None, images: int = IMAGES
) -> Rehearsed:
    """Compute some images of one block with every node; nothing is written to the store.

    Hours are those of one worker like this process, for the units that the store lacks.

    Raises:
        Preempted: a stop was requested.
    """
    memory = PeakMemory()
    rates = rehearse(project, project.nodes, control, images, memory.watch)
    known = measured(project) | {name: rate for name, rate in rates.items() if rate.seconds is not None}
    costs = node_costs(project, states, known)
    total = project.listing.images
    found = [_finding(cost, rates[cost.node], memory.by_node.get(cost.node), total) for cost in costs]
    return Rehearsed(found, costs)


def _finding(cost: NodeCost, rate: Rate, peak: Peak | None, total: int) -> Finding:
    if rate.seconds is None:
        why = rate.basis.removeprefix("not measured: ")
        if why.startswith(FAILED) or "were left out" in why:
            fix = f"Mend what it names, and try: pd stage run {cost.node} --limit 1"
            return Finding(GROUP, cost.node, why.removeprefix(FAILED), "fails", fix)
        hours = "" if cost.rate.seconds is None else f"; by {cost.rate.basis}: {_left(cost)}"
        return Finding(GROUP, cost.node, f"not rehearsed: {why}{hours}")
    assert peak is not None
    whole = f"{rate.seconds * total / 3600:.3g} h for the {total} images of this store"
    found = f"{rate.basis}: {_time(rate.seconds)} per image, {whole}, {_left(cost)}, at most {gigabytes(peak.memory)}"
    if peak.device:
        found += f" and {gigabytes(peak.device)} of the GPU"
    if peak.memory > TIGHT * memory_limit():
        fix = "Start fewer workers, or raise the memory limit: a process that takes more is killed"
        return Finding(GROUP, cost.node, f"{found} of {gigabytes(memory_limit())}", "warning", fix)
    return Finding(GROUP, cost.node, found)


def _left(cost: NodeCost) -> str:
    hours = cost.left.hours
    return "hours are not known" if hours is None else f"{hours:.3g} h are left"


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"
