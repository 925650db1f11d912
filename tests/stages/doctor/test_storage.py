from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import Store
from pdstore.files import Files
from stages.doctor.storage import room_findings, storage_findings
from stages.plan.cost import Amount, NodeCost, Rate
from stages.plan.project import Project
from stages.plan.states import states


def cost(node: str, gigabytes: float | None) -> NodeCost:
    amount = Amount(None, gigabytes)
    return NodeCost(node, False, Rate("image", None, None, None, "a test"), amount, {})


def test_the_storage_of_a_store_is_tried_out(classical: Callable[..., Store]) -> None:
    """It is named with its file system, and every property is fine; the store is as it was."""
    store = classical()
    before = sorted(os.listdir(store.url))
    first, *others = storage_findings(store)
    assert first.found.startswith(f"{store.url}, ") and not first.found.endswith("unknown file system")
    assert {finding.verdict for finding in (first, *others)} == {"ok"} and len(others) == 7
    assert sorted(os.listdir(store.url)) == before


def test_a_storage_without_safe_commits_fails(classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of a careless object store: a second writer replaces what the first has committed."""
    store = classical()
    monkeypatch.setattr(Files, "create", lambda self, path, data: self.write(path, data) is None)
    [found] = [finding for finding in storage_findings(store) if finding.verdict != "ok"]
    assert found.verdict == "fails" and "two workers could both commit" in found.fix


def test_what_will_be_written_has_to_fit(grouped: Store) -> None:
    """More than is free fails, nearly as much is a warning, and what is not measured is named."""
    project = Project.open(grouped)
    found = states(project)
    free = os.statvfs(grouped.url).f_bavail * os.statvfs(grouped.url).f_frsize / 1e9

    def verdict(*costs: NodeCost) -> tuple[str, str]:
        room = next(f for f in room_findings(project, found, costs) if f.checked == "space")
        return room.verdict, room.found

    assert verdict(cost("crf", 0.001))[0] == "ok"
    assert verdict(cost("crf", free * 0.97))[0] == "warning"
    assert verdict(cost("crf", free), cost("labels", free))[0] == "fails"
    assert verdict(cost("crf", None))[1].endswith("without crf (not measured yet)")


def test_files_that_can_be_made_have_to_suffice(grouped: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is left to do, 4 files per unit where nothing is committed; a file system that counts none has enough."""
    project = Project.open(grouped)
    found = states(project)
    real = os.statvfs(grouped.url)
    # A file system of which nearly all files are used cannot be made in a second: its answer is changed here.
    scarce = os.statvfs_result([*real[:7], 10, *real[8:]])
    monkeypatch.setattr(os, "statvfs", lambda path: scarce)
    files = next(f for f in room_findings(project, found, []) if f.checked == "files")
    needed = 4 * sum(len(state.missing) for state in found)
    assert files.verdict == "fails" and files.found == f"10 may be made, and at least {needed} are to be written"
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result([*real[:5], 0, *real[6:]]))
    assert [f.checked for f in room_findings(project, found, [])] == ["space"]
    assert Path(grouped.url).is_dir()
