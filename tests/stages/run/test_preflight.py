from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pdstore import Store
from pdstore.errors import InputMissing, StaleSettings, UsageError
from stages.nodes import crf
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.preflight import check_reports, checked_work, prepare
from stages.stage import Stage
from tests.stages.run.commands import run, state


def test_a_stage_without_its_input_says_what_to_run(classical: Callable[..., Store]) -> None:
    """If an input has no committed unit, the message names the node to run."""
    store = classical()
    with pytest.raises(
        InputMissing, match=r"detic: its input ingest has no committed unit yet. Run: pd stage run ingest"
    ):
        run(store, "detic")
    with pytest.raises(UsageError, match=r"'grouping'"):
        run(store, "groupin")


def test_a_barrier_refuses_part_of_its_input(ready: Store) -> None:
    """Ranking needs all of its input; --allow-partial uses the committed part, and the result later shows as stale."""
    run(ready, "crf")
    run(ready, "candidates", limit=2)
    with pytest.raises(
        InputMissing, match=r"all 4 units of candidates, of which 2 are missing \(2, 3\).*--allow-partial"
    ):
        run(ready, "ranking")
    assert state(ready, "ranking").done == []
    assert run(ready, "ranking", allow_partial=True).committed == [0]
    assert state(ready, "ranking").word == "done"
    run(ready, "candidates")
    assert state(ready, "ranking").word == "stale" and state(ready, "ranking").stale == [0]
    assert run(ready, "ranking").todo == []
    assert run(ready, "ranking", refresh=True, dry_run=True).todo == [0]
    assert run(ready, "ranking", refresh=True).committed == [0]
    assert state(ready, "ranking").word == "done"


def test_what_cannot_be_refreshed_stays(ready: Store) -> None:
    """--refresh of a barrier with incomplete input is refused, and the stale result stays."""
    for name in ("crf", "candidates", "ranking"):
        run(ready, name)
    ready.layer("candidates", ready.current()["candidates"]).withdraw(3)
    with pytest.raises(InputMissing, match="all 4 units of candidates"):
        run(ready, "ranking", refresh=True)
    assert state(ready, "ranking").done == [0]


def test_work_is_checked_before_it_is_planned(ready: Store) -> None:
    """Changed settings come first; stale units are looked for only if they are to be computed again."""
    for name in ("crf", "candidates", "ranking"):
        run(ready, name)
    layer = Project.open(ready).layer("candidates")
    rows = layer.read(0)
    layer.withdraw(0)
    layer.commit(0, rows.take(rows["segment_id"] == 0))
    project = Project.open(ready)
    inputs = Inputs(project, "ranking")
    assert checked_work(project, "ranking", inputs, RunOptions()).stale == []
    work = checked_work(project, "ranking", inputs, RunOptions(refresh=True))
    assert (work.stale, work.ready) == ([0], [0])
    changed = Project.open(ready, ["ranking.k=3"])
    with pytest.raises(StaleSettings, match="ranking.k: 2 -> 3"):
        checked_work(changed, "ranking", Inputs(changed, "ranking"), RunOptions())


def test_a_stage_is_prepared_with_its_networks(finished: Store) -> None:
    """Inputs that are networks come as local folders with their files; images come from the image folder."""
    project = Project.open(finished)
    images, process = prepare(project, "proposals")
    assert callable(process) and images.full("a.jpg") == str(Path(project.source.root, "a.jpg"))


def test_a_missing_package_is_named(ready: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install it; a package of one of our extras is installed as the extra."""
    for package, command in (("sam2", "pip install sam2"), ("s3fs", r"pip install 'pdstore\[s3\]'")):

        def load(stage: Stage, package: str = package) -> Callable:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)

        monkeypatch.setattr(Stage, "load", load)
        with pytest.raises(UsageError, match=rf"crf: the package {package} is not installed. {command}"):
            prepare(Project.open(ready), "crf")


def test_a_stage_without_a_network_loads_no_torch(ready: Store) -> None:
    """It is prepared for the CPU, and ``prepare`` asks torch nothing."""
    devices: list[str] = []
    real = crf.start

    def start(settings, setup):
        devices.append(setup.device)
        return real(settings, setup)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crf, "start", start)
        patch.setitem(sys.modules, "torch", None)
        prepare(Project.open(ready), "crf")
    assert devices == ["cpu"] and state(ready, "crf").done == []


def test_every_node_with_a_network_computes_with_the_same_number_of_threads(
    finished: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the largest that a training asks for, whichever node a process begins with; else it is torch's own."""
    numbers: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", numbers.append)
    asked = ["proposal-train.threads=3", "distill-train.threads=1"]
    for name in ("proposals", "distill"):
        prepare(Project.open(finished, asked), name)
    assert numbers == [3, 3]
    unset = [f"{name}.threads=0" for name in ("segmenter", "proposal-train", "distill-train")]
    prepare(Project.open(finished, unset), "proposals")
    assert numbers == [3, 3]


def test_reports_need_their_package(ready: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tensorboard, a node that is to write event files is refused before it computes anything."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    project = Project.open(ready, ["ranking.tensorboard=true"])
    check_reports(project, ["crf", "labels"])
    for check in (lambda: check_reports(project, project.nodes), lambda: prepare(project, "ranking")):
        with pytest.raises(UsageError, match=r"ranking: the package tensorboard is not installed. Install it: pip"):
            check()
