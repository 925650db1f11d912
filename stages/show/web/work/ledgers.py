"""The ledgers of losses on the page of the pipeline: which step costs how much. They are drawn as in the report."""

from __future__ import annotations

from dataclasses import fields

from stages.evaluation.losses import Loss
from stages.plan.evaluations import is_truth_of_parts
from stages.show.report.losses import Ledger
from stages.show.web.snapshots import Snapshot

__all__ = ["has_truth", "read_ledgers"]


def read_ledgers(snapshot: Snapshot) -> list[Ledger]:
    """The ledgers that have rows, in the pipeline's order."""
    columns = ", ".join(field.name for field in fields(Loss))
    found: dict[str, list[Loss]] = {}
    for row in snapshot.rows(f"SELECT node, {columns} FROM losses ORDER BY position"):
        found.setdefault(row.pop("node"), []).append(Loss(**row))
    return [Ledger(name, found[name]) for name in snapshot.project.nodes if name in found]


def has_truth(snapshot: Snapshot) -> bool:
    """Whether the pipeline has true parts, with which a ledger can be made."""
    return any(is_truth_of_parts(snapshot.project[name]) for name in snapshot.project.nodes)
