"""The pipeline as it is now: how far each node is, how fast it is, how long the rest takes, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from stages.plan.cost import measured, node_costs
from stages.plan.project import Project
from stages.plan.states import NodeState, states
from stages.show.report.losses import loss_chart
from stages.show.web.page import Visit
from stages.show.web.snapshots import Snapshot
from stages.show.web.work.ledgers import has_truth, read_ledgers

__all__ = ["Fault", "NodeRow", "duration", "read_faults", "read_pipeline", "show_pipeline", "show_pipeline_state"]

MAX_FAILURES = 3
"""Failed units of a node whose errors are shown."""
FAULTS_PER_REASON = 6
MAX_FAULTS = 200


@dataclass(frozen=True)
class NodeRow:
    """One node.

    Attributes:
        done, units: committed units and all units. failed: the last errors of its first failed units, with the unit.
        errors: images that it had to leave out. rate: images (or, for a training, steps) per second of one worker;
            None if it was not measured. hours: of one worker for what is missing; None if that is not known.
    """

    node: str
    stage: str
    word: str
    done: int
    units: int
    running: int
    stale: int
    failed: tuple[tuple[int, str], ...]
    num_failed: int
    errors: int
    seconds: float
    rate: float | None
    per: str
    hours: float | None
    why: str

    @property
    def speed(self) -> str:
        """``80.6 images/s``; – if it was not measured."""
        if self.rate is None:
            return "–"
        return f"{f'{self.rate:,.0f}' if self.rate >= 100 else f'{self.rate:.3g}'} {self.per}/s"

    @property
    def left(self) -> str:
        """Time of one worker for what is missing; – if nothing is."""
        if self.done == self.units:
            return "–"
        return "not measured" if self.hours is None else duration(self.hours)

    @property
    def percent(self) -> float:
        return 100 * self.done / self.units if self.units else 0.0


@dataclass(frozen=True)
class Fault:
    """Something that a node left out, with its reason.

    Attributes:
        image_id: -1 if it is about a class, or about an annotation of no image. count: rows with this node and reason.
        has_picture: the image was ingested, so it can be shown.
    """

    node: str
    reason: str
    detail: str
    subject: str
    image_id: int
    count: int
    has_picture: bool


def duration(hours: float) -> str:
    """``34 s``, ``6 min``, ``3.2 h``, ``4.1 days``."""
    for limit, size, unit in ((1 / 60, 1 / 3600, "s"), (1.5, 1 / 60, "min")):
        if hours < limit:
            return f"{hours / size:.0f} {unit}"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def read_pipeline(project: Project) -> list[NodeRow]:
    """The nodes in the pipeline's order. Cost: that of ``pd status`` and ``pd plan --cost``."""
    found = states(project)
    rates = measured(project)
    costs = {cost.node: cost for cost in node_costs(project, found, rates)}
    rows = []
    for state in found:
        rate = rates[state.node]
        left = costs[state.node].left.hours if state.missing else 0.0
        rows.append(
            NodeRow(
                node=state.node,
                stage=state.stage,
                word=state.word,
                done=len(state.done),
                units=state.units,
                running=len(state.running),
                stale=len(state.stale),
                failed=_failed(state),
                num_failed=len(state.failed),
                errors=state.errors,
                seconds=state.seconds,
                rate=1 / rate.seconds if rate.seconds and rate.per != "run" else None,
                per=f"{rate.per}s",
                hours=left,
                why=state.why,
            )
        )
    return rows


def read_faults(snapshot: Snapshot) -> list[Fault]:
    """Some rows of ``errors`` of each node and reason, images that can be shown first."""
    sql = """
        WITH listed AS (
            SELECT e.node, e.reason, e.detail, e.subject, e.image_id, count(*) OVER w AS count,
                e.image_id IN (SELECT image_id FROM images) AS has_picture
            FROM errors e WINDOW w AS (PARTITION BY e.node, e.reason)
        )
        SELECT * FROM listed
        QUALIFY row_number() OVER (PARTITION BY node, reason ORDER BY has_picture DESC, image_id) <= ?
        ORDER BY node, reason, has_picture DESC, image_id"""
    return [Fault(**row) for row in snapshot.rows(sql, [FAULTS_PER_REASON], MAX_FAULTS)]


def show_pipeline(visit: Visit) -> Response:
    """``/pipeline``."""
    faults: dict[tuple[str, str], list[Fault]] = {}
    for fault in read_faults(visit.snapshot):
        faults.setdefault((fault.node, fault.reason), []).append(fault)
    ledgers = [(ledger, loss_chart(ledger)) for ledger in read_ledgers(visit.snapshot)]
    truth = has_truth(visit.snapshot)
    return visit.html("pipeline.html", faults=faults, ledgers=ledgers, has_truth=truth, **_state(visit))


def show_pipeline_state(visit: Visit) -> Response:
    """``/pipeline/state``: the table alone, which the page asks for again and again."""
    return visit.html("pipeline_state.html", **_state(visit))


def _state(visit: Visit) -> dict[str, Any]:
    rows = read_pipeline(visit.snapshot.project)
    left = [row.hours for row in rows if row.done < row.units]
    return {
        "rows": rows,
        "time": duration(sum(hours for hours in left if hours is not None)),
        "unknown": sum(hours is None for hours in left),
        "is_done": not left,
    }


def _failed(state: NodeState) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(state.failed.items())[:MAX_FAILURES])
