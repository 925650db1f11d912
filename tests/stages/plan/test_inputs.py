from __future__ import annotations

import pytest

from pdstore import Store
from stages.plan.committed import Committed, read_committed
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from tests.stages.run.commands import run


@pytest.fixture
def ranked(grouped: Store) -> Store:
    """A store whose CRF, candidates, ranking and labels are done."""
    for name in ("crf", "candidates", "ranking", "labels"):
        run(grouped, name)
    return grouped


def inputs_of(store: Store, name: str) -> Inputs:
    return Inputs(Project.open(store), name)


def recorded(project: Project, name: str) -> Committed:
    return Committed.of(project.layer(name))


def test_a_block_node_needs_its_barriers_whole(ranked: Store) -> None:
    """A barrier needs all units of every input; a block needs all of a barrier and its own block of the others."""
    assert inputs_of(ranked, "ranking").whole == {"candidates"}
    assert inputs_of(ranked, "labels").whole == {"ranking"}
    assert inputs_of(ranked, "ingest").whole == set()


def test_content_is_what_the_commits_record(ranked: Store) -> None:
    """What a unit would read now is, right after a run, what its manifest says that it read."""
    project = Project.open(ranked)
    for name in ("crf", "candidates", "ranking", "labels"):
        manifests = project.layer(name).manifests()
        inputs = Inputs(project, name)
        assert {unit: inputs.content_of(unit) for unit in manifests} == {
            u: dict(m.inputs) for u, m in manifests.items()
        }
        assert inputs.stale_units(recorded(project, name)) == []


def test_a_repaired_block_makes_its_readers_stale(ranked: Store) -> None:
    """Only the block that reads it, then every barrier of that; a block that is gone makes nothing stale."""
    project = Project.open(ranked)
    layer = project.layer("crf")
    rows = layer.read(1)
    layer.withdraw(1)
    labels = recorded(project, "labels")
    assert inputs_of(ranked, "labels").content_of(1) is None
    assert inputs_of(ranked, "labels").stale_units(labels) == []
    layer.commit(1, rows.take(rows["part_id"] == 0))
    assert inputs_of(ranked, "labels").stale_units(labels) == [1]
    assert inputs_of(ranked, "candidates").stale_units(recorded(project, "candidates")) == [1]
    assert inputs_of(ranked, "ranking").stale_units(recorded(project, "ranking")) == []
    run(ranked, "candidates", refresh=True)
    assert inputs_of(ranked, "ranking").stale_units(recorded(project, "ranking")) == [0]


def test_what_comes_later_does_not_count(grouped: Store) -> None:
    """The committed units are those at construction, however long a run lasts."""
    run(grouped, "crf", limit=1)
    before = inputs_of(grouped, "labels")
    run(grouped, "crf")
    assert before.committed["crf"] == {0} and before.content_of(3) is None
    assert inputs_of(grouped, "labels").committed["crf"] == {0, 1, 2, 3}


def test_what_was_seen_before_is_not_read_again(ranked: Store) -> None:
    """With what the nodes had committed, the inputs are the same, and the store's files are not touched."""
    project = Project.open(ranked)
    seen = read_committed(project, project.nodes)
    fresh = {name: Inputs(project, name) for name in project.nodes}
    content = {name: [fresh[name].content_of(unit) for unit in range(4)] for name in fresh}
    ranked.files.remove_tree("layers")
    for name, inputs in fresh.items():
        same = Inputs(project, name, seen)
        assert same.committed == inputs.committed
        assert [same.content_of(unit) for unit in range(4)] == content[name]
        assert same.stale_units(seen[name]) == []
