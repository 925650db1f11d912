"""Which step costs how much: the ledgers of losses that have been computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pdstore import Catalog
from stages.evaluation.losses import Loss, advice, read_losses
from stages.plan.pipeline import Pipeline
from stages.show.report import charts

__all__ = ["Ledger", "loss_chart", "read_ledgers"]


@dataclass(frozen=True)
class Ledger:
    """The rows that a node of stage ``losses`` has written, in their order."""

    node: str
    losses: Sequence[Loss]

    @property
    def advice(self) -> str:
        """One sentence on the largest loss, without a full stop; empty if nothing is lost."""
        return advice(self.losses).removesuffix(".")


def read_ledgers(catalog: Catalog, pipeline: Pipeline) -> list[Ledger]:
    """The ledgers that have rows, in the pipeline's order."""
    nodes = [node.name for node in pipeline.nodes.values() if node.stage.name == "losses"]
    ledgers = [Ledger(name, read_losses(catalog, name)) for name in nodes]
    return [ledger for ledger in ledgers if ledger.losses]


def loss_chart(ledger: Ledger) -> Markup:
    """A bar per step below one another: the mIoU that it reaches, and what it has lost or gained."""
    bars = [
        charts.Change(
            row.miou, row.miou + row.lost, f"{row.step} ({row.evaluated}): {row.miou:.2f}, {_change(row.lost)}"
        )
        for row in ledger.losses
    ]
    return charts.changes(bars, "mIoU, percent")


def _change(lost: float) -> str:
    return f"{lost:.2f} lost" if lost >= 0 else f"{-lost:.2f} gained"
