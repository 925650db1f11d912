"""Rates from commits and logs, and what follows from them for a store and for ImageNet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from pdstore import Store
from stages.plan.cost import (
    DATASETS,
    Amount,
    NodeCost,
    Rate,
    Sample,
    measured,
    node_costs,
    per_of,
    rate_of_samples,
    totals,
)
from stages.plan.project import Project
from stages.plan.states import states
from stages.registry import STAGES
from stages.run.runner import run_node
from stages.train.log import LOG_NAME
from stages.training_place import TrainingPlace


def costs_of(store: Store) -> dict[str, NodeCost]:
    project = Project.open(store)
    return {cost.node: cost for cost in node_costs(project, states(project), measured(project))}


def test_seconds_are_the_median_and_bytes_the_mean() -> None:
    """A first unit that loads a network does not count; a unit without images is left out."""
    samples = [Sample(10, 100.0, 50, 20, "a"), Sample(10, 2.0, 30, 0, "b"), Sample(5, 1.5, 20, 5, "a")]
    rate = rate_of_samples([*samples, Sample(0, 9.0, 100, 0, "c")], "image", "units")
    assert rate == Rate("image", 0.3, 4.0, 1.0, "units", ("a", "b"))
    once = rate_of_samples([Sample(0, 9.0, 100, 3)], "run", "1 run")
    assert (once.seconds, once.size, once.rows) == (9.0, 100, None)
    unknown = rate_of_samples([Sample(0, 9.0, 100, 0)], "image", "units")
    assert unknown.seconds is None and unknown.size is None and unknown.basis.startswith("not measured: ")


def test_what_a_node_grows_with() -> None:
    """Images, except for trainings, which take steps, and imported weights, which are read once."""
    grown = {name: per_of(stage) for name, stage in STAGES.items()}
    assert {grown[name] for name in ("detic", "ranking", "eval", "annotated-parts")} == {"image"}
    assert {grown[name] for name in ("proposal-train", "distill-train")} == {"step"}
    assert grown["weights"] == "run"


def test_the_rest_of_a_store_is_priced_by_its_commits(classical: Callable[..., Store]) -> None:
    """12 images in 4 blocks of 3: what one committed block took per image is asked for the 9 images that lack."""
    store = classical()
    project = Project.open(store)
    run_node(project, "ingest")
    for unit in (1, 2, 3):
        project.layer("ingest").withdraw(unit)
    manifest = project.layer("ingest").manifest(0)
    found = costs_of(store)
    cost = found["ingest"]
    assert cost.rate.basis == "1 block" and cost.rate.hosts == (manifest.host,)
    assert cost.rate.rows == manifest.rows["images"] / 3 == 1.0
    assert cost.left == Amount(
        pytest.approx(manifest.seconds / 3 * 9 / 3600), pytest.approx(manifest.size / 3 * 9 / 1e9)
    )
    images = DATASETS["ImageNet-1K"]
    assert cost.whole["ImageNet-1K"].hours == pytest.approx(manifest.seconds / 3 * images / 3600)
    assert found["crf"].rate == Rate("image", None, None, None, "not measured: no unit is committed")
    assert found["crf"].left == Amount(None, None)


def test_a_bucket_stands_for_its_share_of_the_images(finished: Store) -> None:
    """Nothing is left of a finished store; ranking and evaluation grow with the images, trainings with their steps."""
    found, project = costs_of(finished), Project.open(finished)
    assert {cost.left for cost in found.values()} == {Amount(0.0, 0.0)}
    manifest = project.layer("ranking").manifest(0)
    assert project.num_units("ranking") == 1
    assert found["ranking"].rate.seconds == pytest.approx(manifest.seconds / 36)
    training = found["proposal-train"]
    assert training.is_training and training.rate.basis == "4 logged steps"
    assert training.whole["ImageNet-1K"] == training.whole["ImageNet-21K"]
    assert training.whole["ImageNet-1K"].hours == pytest.approx(training.rate.seconds * 4 / 3600)
    assert training.whole["ImageNet-1K"].gigabytes == project.layer("proposal-train").manifest(0).size / 1e9


def test_a_training_that_has_begun_is_priced_by_its_log(copy_store: Callable[..., Store]) -> None:
    """Seconds per step are the median of the log; the steps that it has done are not left."""
    store = copy_store("proposal-train")
    project = Project.open(store)
    place = TrainingPlace(store, "proposal-train", project["proposal-train"].fingerprint)
    place.folder.mkdir(parents=True)
    lines = [{"step": step, "samples_per_s": speed} for step, speed in ((1, 0.5), (2, 8.0), (3, 4.0))]
    (place.folder / LOG_NAME).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    cost = costs_of(store)["proposal-train"]
    assert cost.rate == Rate("step", 1.0, None, None, "3 logged steps")  # a batch of 4 at 4 samples per second
    assert cost.left == Amount(pytest.approx(1 / 3600), None)
    (place.folder / LOG_NAME).unlink()
    cost = costs_of(store)["proposal-train"]
    assert cost.rate.seconds is None and cost.rate.basis == "not measured: it has no log on this machine"
    assert cost.left == Amount(None, None)


def test_sums_name_what_was_not_measured(finished: Store) -> None:
    """Trainings are summed apart, since more workers do not make them shorter; a day has 24 hours."""
    project = Project.open(finished)
    rate = Rate("image", 1.0, 1e3, 1.0, "1 block")
    whole = {name: Amount(30.0, 2.0) for name in DATASETS}
    image = NodeCost("detic", False, rate, Amount(1.0, 0.5), whole)
    training = replace(image, node="proposal-train", is_training=True)
    unknown = replace(image, node="crf", left=Amount(0.0, 0.0), whole=dict.fromkeys(DATASETS, Amount(None, None)))
    found = totals(project, [image, training, unknown, replace(image, node="labels")])
    here, all_of_it = found["this store"], found["ImageNet-21K"]
    assert (here.images, here.hours, here.training_hours, here.gigabytes, here.workers) == (36, 2.0, 1.0, 1.5, 1)
    assert here.not_measured == ()
    assert (all_of_it.hours, all_of_it.training_hours, all_of_it.workers) == (60.0, 30.0, 3)
    assert all_of_it.images == 14_197_122 and all_of_it.not_measured == ("crf",)
