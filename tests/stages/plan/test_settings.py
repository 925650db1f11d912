from __future__ import annotations

import pytest

from pdstore import Store
from pdstore.errors import StaleSettings
from stages.plan.project import Project
from stages.plan.settings import adopt, check_settings
from tests.stages.run.commands import run, state


def test_changed_settings_over_existing_blocks_are_refused(grouped: Store) -> None:
    """StaleSettings shows the difference and three ways to continue; ``new_layer`` keeps both layers side by side."""
    run(grouped, "crf")
    old = grouped.current()["crf"]
    with pytest.raises(StaleSettings) as caught:
        run(grouped, "crf", "crf.gt_prob=0.8", "crf.iterations=3")
    text = str(caught.value)
    assert "gt_prob: 0.7 -> 0.8" in text and "iterations: 2 -> 3" in text and "bilateral" not in text
    assert "leave the settings" in text and "--new-layer" in text and f"pd gc --layer {old} --yes" in text
    assert "settings changed: crf.gt_prob: 0.7 -> 0.8" in state(grouped, "crf", "crf.gt_prob=0.8").why
    assert len(run(grouped, "crf", "crf.gt_prob=0.8", new_layer=True).committed) == 4
    assert sorted(layer.fingerprint for layer in grouped.layers("crf") if layer.units()) == sorted(
        {old, Project.open(grouped, ["crf.gt_prob=0.8"])["crf"].fingerprint}
    )
    assert len(grouped.layer("crf", old).units()) == 4


def test_settings_that_change_no_result_are_no_new_layer(grouped: Store) -> None:
    """With another batch size the run continues in the same layer."""
    run(grouped, "grouping", "grouping.batch_size=3")
    assert len(grouped.layers("grouping")) == 1


def test_the_node_whose_settings_changed_is_named(grouped: Store) -> None:
    """If only an input's settings changed, the error of the node that reads it names the input and its change."""
    run(grouped, "crf")
    with pytest.raises(StaleSettings, match=r"^crf: .*4 are under others: grouping.k: 4 -> 3.*config set grouping.KEY"):
        check_settings(Project.open(grouped, ["grouping.k=3"]), "crf", new_layer=False)


def test_settings_may_change_before_the_first_commit(grouped: Store) -> None:
    """A node without committed units has no settings to keep to."""
    check_settings(Project.open(grouped, ["crf.gt_prob=0.8"]), "crf", new_layer=False)


def test_settings_are_adopted_only_for_the_nodes_that_run(grouped: Store) -> None:
    """Adopting records the pipeline, unless a node that runs has units under other settings, or it is a dry run."""
    project = Project.open(grouped, ["grouping.k=3", "crf.gt_prob=0.8"])
    recorded = grouped.current()
    adopt(project, ["crf"], new_layer=False, dry_run=True)
    assert grouped.current() == recorded
    with pytest.raises(StaleSettings, match="grouping.k: 4 -> 3"):
        adopt(project, ["grouping", "crf"], new_layer=False)
    assert grouped.current() == recorded
    adopt(project, ["grouping", "crf"], new_layer=True)
    assert grouped.current() == project.pipeline.current() != recorded


def test_settings_that_were_recorded_on_purpose_are_computed(grouped: Store) -> None:
    """After a consent no further one is needed, for exactly these settings; without it the record is not enough."""
    run(grouped, "crf")
    Project.open(grouped, ["crf.gt_prob=0.8"]).record()
    with pytest.raises(StaleSettings):
        check_settings(Project.open(grouped), "crf", new_layer=False)
    Project.open(grouped).record(is_consent=True)
    check_settings(Project.open(grouped), "crf", new_layer=False)
    with pytest.raises(StaleSettings):
        check_settings(Project.open(grouped, ["crf.gt_prob=0.9"]), "crf", new_layer=False)
