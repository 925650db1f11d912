"""What can be measured in place of losses without ground truth, if ``pd eval --proxies`` has measured it."""

from __future__ import annotations

from pdstore import Catalog
from stages.evaluation.proxies import NAMES, read_proxies
from stages.plan.pipeline import Pipeline
from stages.show.report.tables import Column, Table, table_of

__all__ = ["proxy_table"]


def proxy_table(catalog: Catalog, pipeline: Pipeline) -> Table:
    """One row per node that was measured: its proxies over all classes. Without any, the table has no rows."""
    values: dict[tuple[str, str], dict[str, float]] = {}
    for node in pipeline.nodes.values():
        if node.stage.name == "proxies":
            for row in read_proxies(catalog, node.name):
                if not row.class_name:
                    values.setdefault((row.evaluated, row.step), {})[row.proxy] = row.value
    columns = [Column("node"), Column("stands for the loss of"), *(Column(name, "n") for name in NAMES)]
    cells = [
        (node, step, *(f"{of_step[name]:.2f}" if name in of_step else None for name in NAMES))
        for (node, step), of_step in values.items()
    ]
    return table_of("proxies for losses", columns, cells)
