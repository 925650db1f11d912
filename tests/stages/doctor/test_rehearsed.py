from __future__ import annotations

from collections.abc import Callable

import pytest

from pdstore import Store
from stages.doctor import rehearsed as module
from stages.doctor.rehearsed import Rehearsed, rehearsed
from stages.plan.project import Project
from stages.plan.states import states
from tests.stages.run.test_rehearsal import files_of


def rehearse(store: Store) -> Rehearsed:
    project = Project.open(store)
    return rehearsed(project, states(project))


def test_each_node_is_told_with_time_hours_and_memory(
    classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a rehearsal that leaves no trace; a node that cannot be rehearsed says why; too much memory is a warning."""
    store = classical()
    before = files_of(store)
    done = rehearse(store)
    found = {finding.checked: finding for finding in done.findings}
    assert list(found) == list(Project.open(store).nodes) and {f.verdict for f in found.values()} == {"ok"}
    crf = found["crf"].found
    assert crf.startswith("rehearsal of 3 images: ") and "h for the 12 images of this store" in crf and "GB" in crf
    assert "reads all of its input" in found["ranking"].found
    left = {cost.node: cost.left.hours for cost in done.costs}
    assert left["crf"] > 0 and left["ranking"] is None
    assert files_of(store) == before
    monkeypatch.setattr(module, "memory_limit", lambda: 1 << 20)
    tight = {finding.checked: finding for finding in rehearse(store).findings}
    assert tight["crf"].verdict == "warning" and "Start fewer workers" in tight["crf"].fix


def test_what_a_run_would_stumble_over_fails(classical: Callable[..., Store]) -> None:
    """A detector without weights fails here as it would in the run."""
    found = {f.checked: f for f in rehearse(classical("detic.backend=grounding-dino+sam2")).findings}
    assert found["ingest"].verdict == "ok" and found["detic"].verdict == "fails"
    assert found["detic"].fix.endswith("pd stage run detic --limit 1")
