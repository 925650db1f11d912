"""Counts of what all workers have committed of a layer, kept up to date by reading only what is new."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pdstore import Layer, layout
from stages.plan.project import Project

__all__ = ["Counts"]


@dataclass(frozen=True)
class _Unit:
    attempt: str
    images: int
    rows: int
    seconds: float
    rejected: Mapping[str, int]


class Counts:
    """The committed units of a node's layer, by any worker.

    Attributes:
        units: unit -> what was committed.
        step: images (or units, if these are not blocks) that were ever committed. A unit that is taken back and
            committed again counts twice, so that the number never falls and all workers agree on it.
    """

    def __init__(self, project: Project, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._layer, self._clock = project.layer(name), clock
        self._total = project.num_units(name)
        self.is_block = project[name].stage.unit == "block"
        self._sizes = project.listing.block_sizes() if self.is_block else []
        self.units: dict[int, _Unit] = {}
        self.step = 0
        self._before: tuple[float, int] | None = None
        self._rate = self._seconds = float("nan")

    def size(self, unit: int) -> int:
        """By how much ``step`` rises with a unit."""
        return self._sizes[unit] if self.is_block else 1

    def update(self) -> list[int]:
        """Read what was committed since the last call. Returns the new units, in order."""
        layer = self._layer
        # A new layer object, because one keeps all manifests that it has read.
        fresh = Layer(layer.store, layer.node, layer.fingerprint)
        names = layer.store.files.names(layout.withdrawals(layer.node, layer.fingerprint))
        gone = [layout.parse_attempt(name.removesuffix(".json")) for name in names]
        for unit, attempt in gone:
            if unit in self.units and self.units[unit].attempt == attempt:
                del self.units[unit]
        manifests = fresh.manifests(set(fresh.units()) - self.units.keys())
        for unit, manifest in manifests.items():
            rows = sum(count for table, count in manifest.rows.items() if table != "errors")
            self.units[unit] = _Unit(
                manifest.attempt, self.size(unit), rows, manifest.seconds, _rejected(fresh, unit, manifest.rows)
            )
        self.step = sum(unit.images for unit in self.units.values()) + sum(self.size(unit) for unit, _ in gone)
        self._measure(list(manifests))
        return sorted(manifests)

    def numbers(self) -> dict[str, float]:
        """The counts by their names in W&B and TensorBoard."""
        rejected: Counter[str] = Counter()
        for unit in self.units.values():
            rejected.update(unit.rejected)
        count, rows = len(self.units), sum(unit.rows for unit in self.units.values())
        numbers = {"units": float(count), "units_ratio": count / max(1, self._total), "rows": float(rows)}
        if self.is_block:
            images = sum(unit.images for unit in self.units.values())
            numbers |= {"images": float(images), "rows_per_image": rows / max(1, images)}
        if self._rate == self._rate:
            numbers["images_per_second" if self.is_block else "units_per_second"] = self._rate
        if self._seconds == self._seconds:
            numbers["seconds_per_unit"] = self._seconds
        return numbers | {f"rejected/{reason}": float(number) for reason, number in sorted(rejected.items())}

    def _measure(self, new: list[int]) -> None:
        """Rates since the last call; nothing is known at the first."""
        now, before = self._clock(), self._before
        self._before = now, self.step
        if new:
            self._seconds = sum(self.units[unit].seconds for unit in new) / len(new)
        if before is not None and new and now > before[0]:
            self._rate = (self.step - before[1]) / (now - before[0])


def _rejected(layer: Layer, unit: int, rows: Mapping[str, int]) -> Mapping[str, int]:
    errors = layer.errors(unit) if rows.get("errors") else None
    return {} if errors is None else Counter(errors.column("reason").to_pylist())
