from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pdstore import Store
from stages.doctor.examination import examine
from stages.doctor.finding import GROUPS
from tests.stages.run.test_rehearsal import files_of


def test_without_a_store_the_machine_is_examined() -> None:
    """Its programs and its limits, in this order."""
    found = examine(None)
    assert list(dict.fromkeys(finding.group for finding in found)) == ["programs", "machine"]
    assert "GPU" in [finding.checked for finding in found]


def test_with_a_store_everything_is_examined(classical: Callable[..., Store]) -> None:
    """Group by group, and the store is byte for byte as before."""
    store = classical()
    before = files_of(store)
    found = examine(store, is_rehearsed=True, images=2)
    assert list(dict.fromkeys(finding.group for finding in found)) == list(GROUPS)
    assert {finding.verdict for finding in found} == {"ok"}
    assert next(f.found for f in found if f.checked == "crf").startswith("rehearsal of 2 images")
    assert files_of(store) == before


def test_a_damaged_record_fails_and_the_rest_is_said(classical: Callable[..., Store]) -> None:
    """The machine and the storage can be examined all the same."""
    store = classical()
    for path in [*Path(store.url).glob("pipeline/*.json"), Path(store.url) / "pipeline.json"]:
        path.write_bytes(b"{")
    found = {finding.checked: finding for finding in examine(Store(store.url))}
    assert found["records of the store"].verdict == "fails" and "pipeline" in found["records of the store"].found
    assert found["files that are removed"].verdict == "ok"
