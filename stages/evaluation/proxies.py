"""Proxies for the losses: what can be measured about a step without ground truth.

``docs/part_benchmarks.md`` has the exact definitions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from pdstore import Catalog

__all__ = ["DIVISION", "NAMES", "NAMING", "Measured", "Proxy", "averaged", "read_proxies"]

DIVISION, NAMING = "division", "naming"
"""The steps of the ledger of losses that proxies stand for."""
NAMES = ("silhouette", "seeds", "mirror", "halves", "k")
"""Proxies, in the order in which they are shown."""


@dataclass(frozen=True)
class Measured:
    """What was measured of an object, or of the segments of a class.

    Attributes:
        values: proxy -> value; NaN if it could not be measured.
        samples: 1 for an object; the number of segments.
    """

    values: Mapping[str, float]
    samples: int = 1


@dataclass(frozen=True)
class Proxy:
    """A row of the table ``proxies``."""

    evaluated: str
    step: str
    proxy: str
    class_name: str
    samples: int
    value: float


def averaged(evaluated: str, step: str, of_class: Mapping[str, Sequence[Measured]]) -> list[Proxy]:
    """The rows of a step: the mean over the classes, then that of each class. What was not measured has no row.

    Args:
        of_class: name of an object class -> what was measured of it.
    """
    overall, rows = [], []
    for proxy in NAMES:
        means: list[Proxy] = []
        for name, measured in sorted(of_class.items()):
            found = [one for one in measured if not math.isnan(one.values.get(proxy, math.nan))]
            if found:
                value = sum(one.values[proxy] for one in found) / len(found)
                means.append(Proxy(evaluated, step, proxy, name, sum(one.samples for one in found), value))
        if means:
            value = sum(row.value for row in means) / len(means)
            overall.append(Proxy(evaluated, step, proxy, "", sum(row.samples for row in means), value))
        rows += means
    return overall + rows


def read_proxies(catalog: Catalog, node: str) -> list[Proxy]:
    """The rows that a node of stage ``proxies`` has written: those of all classes first; none before it has run."""
    names = ", ".join(field.name for field in fields(Proxy))
    rows = catalog.query(f"SELECT {names} FROM proxies WHERE node = '{node}'").to_pylist()
    proxies = [Proxy(**row) for row in rows]
    return sorted(proxies, key=lambda row: (row.step, row.class_name, NAMES.index(row.proxy)))
