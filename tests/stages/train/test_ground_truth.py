"""Evaluation on ground truth in a training gives the numbers of the stages ``proposals``, ``predict`` and ``eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pdstore import Identity, Layer, Store
from pdstore.errors import InputMissing, Preempted, StorageFailure, UsageError
from pdstore.files import Files
from schemas.stages import EvalSettings, PredictSettings, ProposalsSettings
from schemas.tables import PREDICTIONS, PROPOSALS
from schemas.training import TrainSettings
from stages.models.network import PartNetwork, build
from stages.models.network_files import save_network
from stages.nodes import evaluate, predict, proposals
from stages.plan.project import Project
from stages.source.listing import Listing
from stages.train.ground_truth import GroundTruth
from stages.train.log import read_log
from stages.train.loop import Hooks, train
from stages.train.process_group import ALONE
from stages.unit import Setup, Unit
from tests.stages.train.squares import SETTINGS, SMALL, Squares

SIDE = 64
PARTS = 3


def settings_of(store: Store, **changes: Any) -> TrainSettings:
    given = {"evaluate_every": 2, "evaluate_stores": (store.url,), "evaluate_images": 0, "batch_size": 4}
    return SETTINGS.model_copy(update={**given, **changes})


def answering(num_objects: int) -> PartNetwork:
    """A network of random weights that thinks that every query is some part."""
    network = build(SMALL, PARTS if num_objects else 1, num_objects, seed=2)
    with torch.no_grad():
        bias = network.class_predictor.no_object.bias if num_objects else network.class_predictor.bias
        bias[-1] = -4
    return network


def stored(store: Store, network: PartNetwork, folder: Path, stage: Any, settings: Any, table: Any) -> Layer:
    """What a stage finds in every block of a copy of the store, committed as a layer."""
    project = Project.open(store)
    save_network(network, folder / "model")
    setup = Setup(classes=Listing(store).classes(), models={"model": folder / "model"}, files={})
    process = stage.start(settings, setup)
    layer = store.declare("scored", Identity("scored", 1), table, "test")
    for block in project.layer("ingest").units():
        unit = Unit("scored", block, Files(project.source.root), {"images": [project.layer("ingest")]})
        layer.commit(block, process(unit).rows)
    return layer


def stage_eval(store: Store, settings: EvalSettings, **roles: Layer) -> dict[str, float]:
    project = Project.open(store)
    layers = {"images": [project.layer("ingest")], "truth": [project.layer("truth-parts")]}
    layers |= {"truth_objects": [project.layer("truth-objects")], **{role: [layer] for role, layer in roles.items()}}
    process = evaluate.start(settings, Setup(classes=Listing(store).classes(), models={}, files={}))
    rows = process(Unit("eval", 0, Files(""), layers)).rows
    whole = [n for n in range(len(rows)) if not rows["class_name"][n] and not rows["part_name"][n]]
    return {rows["metric"][n]: float(rows["value"][n]) for n in whole}


@pytest.mark.parametrize("protocol", ["reference", "honest"])
def test_the_recall_of_proposals_is_that_of_the_stages(copy_store: Any, tmp_path: Path, protocol: str) -> None:
    """With a plain head: AR@n, overlapping and with one label per pixel, on the images of the split."""
    store, network = copy_store(), answering(0)
    layer = stored(store, network, tmp_path, proposals, ProposalsSettings(long_side=SIDE), PROPOSALS)
    expected = stage_eval(store, EvalSettings(protocol=protocol, reference_splits=("val",)), segments=layer)
    truth = GroundTruth(settings_of(store, evaluate_protocol=protocol), None, ALONE)
    found = truth.scores(network.train(), "float32")
    assert network.training
    names = [f"AR@{n}{kind}" for n in (1, 10, 50, 100, 200) for kind in ("", "-unique")]
    assert found["eval/demo/images"] == expected["samples"] == 12
    assert protocol == "honest" or found["eval/demo/AR@200"] > 0, "cut to the object, random masks find some part"
    assert {name: found[f"eval/demo/{name}"] for name in names} == pytest.approx({n: expected[n] for n in names})
    assert len(found) == len(names) + 1


@pytest.mark.parametrize("protocol", ["reference", "honest"])
def test_the_parts_of_a_class_specific_head_are_those_of_the_stages(
    copy_store: Any, tmp_path: Path, protocol: str
) -> None:
    """The object class is given; by the honest protocol the images of ``train`` name the clusters."""
    store = copy_store()
    classes = Listing(store).classes()
    network = answering(len(classes))
    layer = stored(store, network, tmp_path, predict, PredictSettings(long_side=SIDE), PREDICTIONS)
    expected = stage_eval(store, EvalSettings(protocol=protocol, reference_splits=("val",)), predicted=layer)
    found = GroundTruth(settings_of(store, evaluate_protocol=protocol), classes, ALONE).scores(network, "float32")
    assert found["eval/demo/mIoU"] == pytest.approx(expected["A-mIoU"]) and found["eval/demo/mIoU"] > 0
    assert found["eval/demo/C-mIoU"] == pytest.approx(expected["C-mIoU"])
    assert found["eval/demo/AR@50"] == pytest.approx(expected["AR@50"])
    assert found["eval/demo/images"] == expected["samples"] == 12


def test_classes_are_found_by_their_code(copy_store: Any) -> None:
    """A vocabulary and slices in another order give the same scores; images of unknown classes are left out."""
    store = copy_store()
    classes = Listing(store).classes()
    last = len(classes) - 1
    turned = [type(c)(last - c.class_id, c.wnid, c.name) for c in reversed(classes)]
    network, other = answering(len(classes)), answering(len(classes))
    with torch.no_grad():
        for name in ("weight", "bias"):
            value = getattr(other.class_predictor, name)
            value.copy_(value.flip(0))
    settings = settings_of(store)
    one = GroundTruth(settings, classes, ALONE).scores(network, "float32")
    assert GroundTruth(settings, turned, ALONE).scores(other, "float32") == pytest.approx(one)
    few = GroundTruth(settings, classes[:2], ALONE).scores(network, "float32")
    assert 0 < few["eval/demo/images"] < one["eval/demo/images"]
    strangers = [type(classes[0])(0, "n09999999", "nothing of the kind")]
    with pytest.raises(InputMissing, match="no image of 'val' has ground truth .* 0 classes that the network knows"):
        GroundTruth(settings, strangers, ALONE)


def test_the_number_of_images_is_limited(finished: Store) -> None:
    """The first images of the split are scored, and the same every time."""
    truth, network = GroundTruth(settings_of(finished, evaluate_images=5), None, ALONE), answering(0)
    one, other = truth.scores(network, "float32"), truth.scores(network, "float32")
    assert one == other and one["eval/demo/images"] == 5
    every = GroundTruth(settings_of(finished, evaluate_splits=()), None, ALONE).scores(network, "float32")
    assert every["eval/demo/images"] == 36


def test_two_stores_of_one_data_set_have_two_names(finished: Store) -> None:
    """Their values do not overwrite each other."""
    settings = settings_of(finished, evaluate_stores=(finished.url, finished.url), evaluate_images=2)
    found = GroundTruth(settings, None, ALONE).scores(answering(0), "float32")
    assert found["eval/demo-1/AR@10"] == found["eval/demo-2/AR@10"]


def test_what_cannot_be_scored_is_refused(finished: Store, tmp_path: Path) -> None:
    """No store named, a split without images, and a place that cannot be read: each is one error that says so."""
    with pytest.raises(UsageError, match="evaluate_stores: evaluate_every is set, but evaluate_stores names no store"):
        GroundTruth(settings_of(finished, evaluate_stores=()), None, ALONE)
    with pytest.raises(InputMissing, match=r"no image of 'test' .* splits are \['train', 'val'\]: set evaluate_splits"):
        GroundTruth(settings_of(finished, evaluate_splits=("test",)), None, ALONE)
    (tmp_path / "store.json").mkdir()
    with pytest.raises(StorageFailure, match=rf"{tmp_path}: the store to evaluate on cannot be read.*evaluate_every=0"):
        GroundTruth(settings_of(finished, evaluate_stores=(str(tmp_path),)), None, ALONE)


def test_a_training_logs_its_scores_and_stays_the_same(finished: Store, tmp_path: Path) -> None:
    """Every ``evaluate_every`` steps the log has the scores; the weights are those of a training without."""
    settings, notes = settings_of(finished, evaluate_images=4), list[str]()
    truth = GroundTruth(settings, None, ALONE)
    done = train(
        Squares(), settings, build(SMALL, 1), tmp_path / "watched", Hooks(note=notes.append), ground_truth=truth
    )
    plain = train(Squares(), settings, build(SMALL, 1), tmp_path / "plain")
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in done.state_dict().items())
    lines = list(read_log(tmp_path / "watched"))
    assert [line["step"] for line in lines if "eval/demo/AR@200" in line] == [2, 4, 6]
    assert any(note.startswith("step 2: eval/demo/AR@200 ") for note in notes)


def test_a_request_to_stop_ends_an_evaluation(finished: Store, tmp_path: Path) -> None:
    """The evaluation is left out; the training stops after its next step, and goes on to the same weights."""
    settings, notes = settings_of(finished, evaluate_images=4), list[str]()
    truth, asked = GroundTruth(settings, None, ALONE), list[int]()

    def should_stop() -> bool:
        # One question per step, and then one per picture: the first of the evaluation is the third.
        asked.append(1)
        return len(asked) > 2

    hooks = Hooks(note=notes.append, should_stop=should_stop)
    with pytest.raises(Preempted, match="stopped at step 3"):
        train(Squares(), settings, build(SMALL, 1), tmp_path, hooks, ground_truth=truth)
    assert "step 2: the evaluation on ground truth is left out, because the training is to stop" in notes
    done = train(Squares(), settings, build(SMALL, 1), tmp_path, ground_truth=truth)
    whole = train(Squares(), settings, build(SMALL, 1), tmp_path / "whole")
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in done.state_dict().items())


def test_a_store_that_goes_away_does_not_end_a_training(copy_store: Any, tmp_path: Path) -> None:
    """The failure is said, and the steps go on."""
    store, notes = copy_store(), list[str]()
    settings = settings_of(store, evaluate_images=4)
    truth = GroundTruth(settings, None, ALONE)
    Path(store.url).rename(tmp_path / "elsewhere")
    train(Squares(), settings, build(SMALL, 1), tmp_path / "run", Hooks(note=notes.append), ground_truth=truth)
    assert sum("failed, and the training goes on" in note for note in notes) == 3
    assert len(list(read_log(tmp_path / "run"))) == 6
