"""The ledger of losses as ``pd eval --losses`` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from cli.output import print_json, print_table
from pdstore import Store
from schemas.catalog import catalog_of
from stages.evaluation.losses import Loss, advice, read_losses

__all__ = ["print_losses"]

_GIVEN = {"parts": "parts inside the objects", "names": "names of the masks", "": "-"}


def print_losses(store: Store, limits: Mapping[str, int], *, as_json: bool) -> None:
    """Print the ledgers of these nodes and, for each, one sentence on its largest loss.

    Args:
        limits: node of stage ``losses`` -> the n of its AR@n.
    """
    catalog = catalog_of(store)
    ledgers = {node: read_losses(catalog, node) for node in limits}
    if as_json:
        nodes = {
            node: {"losses": [asdict(loss) for loss in losses], "ar_limit": limits[node], "advice": advice(losses)}
            for node, losses in ledgers.items()
        }
        print_json({"nodes": nodes})
        return
    for node, losses in ledgers.items():
        _print(losses, f"AR@{limits[node]}")
        print(advice(losses))


def _print(losses: Sequence[Loss], recall: str) -> None:
    rows: Iterable[tuple[object, ...]] = (
        (row.step, row.evaluated, _GIVEN[row.given], row.miou, row.ar, row.lost, row.after or "100 percent")
        for row in losses
    )
    print_table(("step", "evaluated", "from the truth", "mIoU", recall, "lost", "compared with"), list(rows))
