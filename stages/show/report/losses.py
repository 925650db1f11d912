"""Which step costs how much: the ledgers of losses that have been computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pdstore import Catalog
from stages.evaluation.losses import Loss, advice, read_losses
from stages.plan.pipeline import Pipeline

__all__ = ["Ledger", "read_ledgers"]


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
