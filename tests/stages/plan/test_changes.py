from __future__ import annotations

from dataclasses import replace

from pdstore import Identity, Store
from stages.plan.changes import changes, own_changes, summary
from stages.plan.project import Project
from tests.stages.run.commands import run


def test_changes_of_a_node_name_the_setting() -> None:
    """One line per change; what the node reads does not count as its own."""
    old = Identity("crf", 1, {"gt_prob": 0.7, "iterations": 2}, {"file": "aa"}, {"parts": "1"})
    new = replace(old, settings={"gt_prob": 0.8, "iterations": 2}, weights={"file": "bb"}, upstream={"parts": "2"})
    lines = own_changes("smooth", old, new)
    assert lines[0] == "smooth.gt_prob: 0.7 -> 0.8" and len(lines) == 2
    assert lines[1].startswith("smooth.file (content): ")
    assert own_changes("smooth", old, replace(old, upstream={"parts": "2"})) == []


def test_changes_are_followed_to_the_nodes_that_changed(grouped: Store) -> None:
    """A node that reads a changed node is not listed itself; a node read in several ways is listed once."""
    for name in ("crf", "candidates", "ranking"):
        run(grouped, name)
    identity = Project.open(grouped)["ranking"].identity
    project = Project.open(grouped, ["grouping.k=3", "detic.max_objects=2"])
    changed = changes(project, identity, "ranking")
    assert changed == {"detic": ["detic.max_objects: 10 -> 2"], "grouping": ["grouping.k: 4 -> 3"]}
    assert set(summary(changed).split("; ")) == {"detic.max_objects: 10 -> 2", "grouping.k: 4 -> 3"}
    assert changes(Project.open(grouped), identity, "ranking") == {}
    assert summary({}) == "nothing but the layer's name"


def test_a_former_layer_that_is_gone_leaves_its_fingerprint(grouped: Store) -> None:
    """Without the layer its settings are unknown, so the line shows the fingerprints."""
    project = Project.open(grouped, ["grouping.k=3"])
    identity = Project.open(grouped)["crf"].identity
    lost = replace(identity, upstream={**identity.upstream, "parts": "0123456789abcdef"})
    now = project["grouping"].fingerprint
    assert changes(project, lost, "crf") == {"crf": [f"crf upstream parts: 0123456789abcdef -> {now}"]}
