"""Units that failed: the last error of each, kept until the unit is committed."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import dataclass

from pdstore import Layer, layout

__all__ = ["Failure", "forget_failure", "read_failure", "read_failures", "record_failure", "stored_failures"]


@dataclass(frozen=True)
class Failure:
    """The last error of a unit, and when it occurred (seconds since 1970)."""

    error: str
    time: float


def read_failures(layer: Layer) -> dict[int, str]:
    """Unit -> its last error, for each unit that failed."""
    return {unit: failure.error for unit, failure in stored_failures(layer).items()}


def stored_failures(layer: Layer) -> dict[int, Failure]:
    """Unit -> its last error and when that occurred, by the clock of the machine on which it did."""
    names = layer.store.files.names(layout.failures(layer.node, layer.fingerprint))
    failures = {unit: read_failure(layer, unit) for unit in (int(name.split(".")[0]) for name in names)}
    return {unit: failure for unit, failure in failures.items() if failure is not None}


def read_failure(layer: Layer, unit: int) -> Failure | None:
    """The last error of a unit; None if the unit has not failed, or was committed since."""
    try:
        values = json.loads(layer.store.files.read(_path(layer, unit)))
        return Failure(str(values["error"]), float(values["time"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        # Nothing but this message depends on the record.
        return Failure("the record of its error cannot be read", 0.0)


def record_failure(layer: Layer, unit: int, error: str) -> None:
    """Store the error of a unit, with the trace of the exception that is being handled."""
    entry = {"error": error, "trace": traceback.format_exc(), "time": time.time()}
    layer.store.files.write(_path(layer, unit), json.dumps(entry, indent=1).encode())


def forget_failure(layer: Layer, unit: int) -> None:
    """Remove the error of a unit, because it was committed."""
    layer.store.files.remove(_path(layer, unit))


def _path(layer: Layer, unit: int) -> str:
    return layout.failure(layer.node, layer.fingerprint, unit)
