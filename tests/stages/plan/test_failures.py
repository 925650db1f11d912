from __future__ import annotations

import json
import time
from pathlib import Path

from pdstore import Layer, Store, layout
from stages.plan.failures import forget_failure, read_failure, read_failures, record_failure
from stages.plan.project import Project


def layer_of(store: Store) -> Layer:
    return Project.open(store).layer("crf")


def fail(layer: Layer, unit: int, error: str) -> None:
    try:
        raise ZeroDivisionError(error)
    except ZeroDivisionError:
        record_failure(layer, unit, error)


def test_the_last_error_of_a_unit_is_kept(grouped: Store) -> None:
    """With its time, until the unit is committed; other units are not affected."""
    layer, before = layer_of(grouped), time.time()
    assert read_failures(layer) == {} and read_failure(layer, 1) is None
    fail(layer, 1, "first")
    fail(layer, 1, "second")
    fail(layer, 12, "other")
    failure = read_failure(layer, 1)
    assert failure is not None and failure.error == "second" and before <= failure.time <= time.time()
    assert read_failures(layer) == {1: "second", 12: "other"}
    forget_failure(layer, 1)
    forget_failure(layer, 1)
    assert read_failures(layer) == {12: "other"}


def test_a_failure_keeps_its_trace(grouped: Store) -> None:
    """The file names the exception and where it was raised, for whoever looks for the cause."""
    layer = layer_of(grouped)
    fail(layer, 3, "broken")
    entry = json.loads(Path(grouped.url, layout.failure("crf", layer.fingerprint, 3)).read_text())
    assert "ZeroDivisionError: broken" in entry["trace"] and "test_failures.py" in entry["trace"]
