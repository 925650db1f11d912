"""The proxies for losses as ``pd eval --proxies`` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from cli.output import print_json, print_table
from pdstore import Store
from schemas.catalog import catalog_of
from stages.evaluation.proxies import NAMES, read_proxies

__all__ = ["print_proxies"]


def print_proxies(store: Store, nodes: Sequence[str], *, as_json: bool) -> None:
    """Print what these nodes of stage ``proxies`` have measured: over all classes, and as JSON also by class."""
    catalog = catalog_of(store)
    found = {node: read_proxies(catalog, node) for node in nodes}
    if as_json:
        print_json({"nodes": {node: [asdict(row) for row in rows] for node, rows in found.items()}})
        return
    for node, rows in found.items():
        values: dict[tuple[str, str, str], dict[str, float]] = {}
        for row in rows:
            if not row.class_name:
                values.setdefault((node, row.step, row.evaluated), {})[row.proxy] = row.value
        print_table(("node", "stands for", "measured", *NAMES), [(*k, *map(v.get, NAMES)) for k, v in values.items()])
