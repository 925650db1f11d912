from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pdstore import Store, StoreInfo, layout
from stages.plan.project import Project
from stages.plan.states import newest_layer, node_state, older_layers, states
from stages.training_place import TrainingPlace
from tests.stages.run.commands import run, state


def test_a_finished_store_is_done_everywhere(finished: Store) -> None:
    """Every node of a finished pipeline is done, with nothing to compute and no reason to."""
    for node in states(Project.open(finished)):
        assert (node.word, node.missing, node.why, node.waiting) == ("done", [], "", [])
        assert node.to_dict()["state"] == "done"


def test_a_node_is_partly_done_in_between(grouped: Store) -> None:
    """From not started to done, with what is missing and why."""
    assert (state(grouped, "crf").word, state(grouped, "crf").why) == ("not started", "4 not computed yet")
    run(grouped, "crf", limit=3)
    partly = state(grouped, "crf")
    assert (partly.word, partly.done, partly.missing, partly.why) == (
        "partly done",
        [0, 1, 2],
        [3],
        "1 not computed yet",
    )
    assert partly.to_dict()["missing"] == [3] and partly.to_dict()["layer"] == grouped.current()["crf"]
    run(grouped, "crf")
    assert (state(grouped, "crf").word, state(grouped, "crf").missing) == ("done", [])


def test_units_wait_for_input_that_is_not_committed(classical: Callable[..., Store]) -> None:
    """In a new store every node but the first waits; nothing is done, failed or running."""
    for node in states(Project.open(classical())):
        assert node.word == "not started" and node.missing == list(range(node.units))
        assert node.waiting == ([] if node.node == "ingest" else node.missing)


def test_other_settings_leave_older_layers(grouped: Store) -> None:
    """Their committed units are counted by fingerprint, and the newest is the one that was written to last."""
    first = grouped.current()["crf"]
    run(grouped, "crf", limit=2)
    run(grouped, "crf", "crf.gt_prob=0.8", new_layer=True, limit=1)
    second = Project.open(grouped, ["crf.gt_prob=0.8"])["crf"].fingerprint
    project = Project.open(grouped, ["crf.gt_prob=0.9"])
    assert node_state(project, "crf").other == {first: 2, second: 1}
    assert newest_layer(older_layers(project, "crf")).fingerprint == second
    assert older_layers(project, "grouping") == []


def test_a_manifest_that_an_older_layer_lost_counts(grouped: Store) -> None:
    """Verify names it; the state does not silently say another number."""
    first = grouped.current()["crf"]
    run(grouped, "crf")
    grouped.files.remove(layout.commit("crf", first, 2))
    assert node_state(Project.open(grouped, ["crf.gt_prob=0.9"]), "crf").other == {first: 4}


def test_the_only_older_layer_is_the_newest_and_not_read(tmp_path: Path) -> None:
    """Its commits say nothing that is needed: it may be any layer, even one without a folder."""
    only = Store.create(str(tmp_path), StoreInfo(4, 0, {})).layer("crf", "0123456789abcdef")
    assert newest_layer([only]) is only


def test_a_training_with_a_checkpoint_has_begun(copy_store: Callable[..., Store]) -> None:
    """Before its commit it is partly done once it has left a state to resume from."""
    store = copy_store("segmenter")
    project = Project.open(store)
    assert node_state(project, "segmenter").word == "not started"
    TrainingPlace(store, "segmenter", store.current()["segmenter"]).folder.mkdir(parents=True)
    assert (node_state(project, "segmenter").word, node_state(project, "segmenter").is_begun) == ("partly done", True)
    assert not node_state(project, "crf").is_begun
