"""Rehearsals: rates of nodes that have no commit yet, without a trace in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import Store
from pdstore.errors import Preempted
from stages.plan.project import Project
from stages.run.rehearsal import rehearse
from stages.run.runner import run_node
from stages.unit import Control


def files_of(store: Store) -> dict[str, str]:
    root = Path(store.url)
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_a_rehearsal_goes_through_the_nodes_and_leaves_nothing(classical: Callable[..., Store]) -> None:
    """Each node reads what the rehearsal of its input gave; ranking needs all of its input, and labels need ranking."""
    store, notes = classical(), []
    before = files_of(store)
    rates = rehearse(Project.open(store), Project.open(store).nodes, Control(note=notes.append))
    assert files_of(store) == before
    for name in ("ingest", "detic", "grouping", "crf"):
        assert rates[name].seconds > 0 and rates[name].size > 0 and rates[name].basis == "rehearsal of 3 images"
        assert f"Rehearsing {name} on 3 images …" in notes
    assert rates["ingest"].rows == rates["detic"].rows == 1.0
    assert rates["ranking"].seconds is None and "reads all of its input at once" in rates["ranking"].basis
    assert rates["labels"].basis == "not measured: its input ranking is not committed, and was not rehearsed"


def test_a_rehearsal_takes_the_first_images_of_what_is_committed(classical: Callable[..., Store]) -> None:
    """Of the block that most nodes have; two images give the rows that a run gives for them."""
    store = classical()
    project = Project.open(store)
    for name in ("ingest", "detic", "grouping", "crf"):
        run_node(project, name)
    project.layer("detic").withdraw(0)
    project.layer("crf").withdraw(1)
    parts = project.layer("grouping").read(2)
    first = [image.image_id for image in project.listing.read(2)[:2]]
    rates = rehearse(project, ["crf"], images=2)
    assert set(rates) == {"crf"} and rates["crf"].basis == "rehearsal of 2 images"
    assert rates["crf"].rows == sum(int(image_id in first) for image_id in parts["image_id"].tolist()) / 2


def test_a_whole_input_is_read_from_the_store(finished: Store) -> None:
    """Labels are rehearsed with the committed clusters, and predictions with the network; trainings are not."""
    rates = rehearse(Project.open(finished), ["proposal-train", "proposals", "labels", "predict"], images=3)
    assert {name for name, rate in rates.items() if rate.seconds is None} == {"proposal-train"}
    assert "a training is not rehearsed" in rates["proposal-train"].basis
    assert rates["proposals"].basis == "rehearsal of 3 images"


def test_nodes_of_one_pass_divide_its_time(classical: Callable[..., Store]) -> None:
    """As their commits would."""
    store = classical()
    project = Project.open(store)
    spec = project.pipeline.spec.nodes["detic"].model_copy(update={"stage": "detic"})
    pair = project.extended({"sure": spec}, ["sure.min_score=0.1"])
    rates = rehearse(pair, ["ingest", "detic", "sure"])
    assert rates["detic"].seconds == rates["sure"].seconds > 0


def test_what_fails_is_not_measured(classical: Callable[..., Store], folder: Path) -> None:
    """A node that lacks a file says so, and files that are gone are no measurement; the others are rehearsed."""
    project = Project.open(classical("detic.backend=grounding-dino+sam2"))
    rates = rehearse(project, ["ingest", "detic", "grouping"])
    assert rates["ingest"].seconds > 0
    assert rates["detic"].seconds is None and rates["detic"].basis.startswith("not measured: its rehearsal failed: ")
    assert "its input detic is not committed" in rates["grouping"].basis
    for path in folder.rglob("*.jpg"):
        path.unlink()
    (rate,) = rehearse(project, ["ingest"]).values()
    assert rate.basis == "not measured: all 3 images of its rehearsal were left out (missing_file)"


def test_a_request_to_stop_ends_the_rehearsal(classical: Callable[..., Store]) -> None:
    """It is not taken for a failure of the node."""
    with pytest.raises(Preempted):
        rehearse(Project.open(classical()), ["ingest", "detic"], Control(should_stop=lambda: True))
