from __future__ import annotations

from collections import Counter

import pytest

from pdstore import Store, layout
from pdstore.errors import PartlyFailed
from pdstore.files import Files
from stages.plan.committed import Committed, read_committed
from stages.plan.project import Project
from stages.plan.states import states
from tests.stages.run.commands import run


def test_a_record_is_what_the_manifests_say(grouped: Store) -> None:
    """Content, inputs, error rows and seconds of the committed units, and nothing of a node that has none."""
    run(grouped, "crf", limit=3)
    project = Project.open(grouped)
    seen, manifests = Committed.of(project.layer("crf")), project.layer("crf").manifests()
    assert seen.content == {unit: manifest.content for unit, manifest in manifests.items()}
    assert seen.inputs == {
        role: {unit: manifest.inputs[role] for unit, manifest in manifests.items()} for role in ("images", "parts")
    }
    assert list(seen.content) == [0, 1, 2]
    assert seen.seconds == pytest.approx(sum(manifest.seconds for manifest in manifests.values())) and seen.errors == 0
    assert Committed.of(project.layer("ranking")) == Committed({}, {}, 0, 0)


def test_a_node_is_read_with_its_inputs_and_before_them(grouped: Store) -> None:
    """The nodes asked for and what they read, later nodes first; no others."""
    project = Project.open(grouped)
    assert list(read_committed(project, ["crf"])) == ["crf", "grouping", "ingest"]
    assert list(read_committed(project, project.nodes)) == list(reversed(list(project.nodes)))


class Counted(Files):
    """A folder that counts which files are read and which folders are listed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reads: Counter[str] = Counter()
        self.listings: Counter[str] = Counter()

    def read(self, path: str) -> bytes:
        self.reads[path] += 1
        return super().read(path)

    def names(self, folder: str) -> list[str]:
        self.listings[folder] += 1
        return super().names(folder)

    def listed(self, folder: str) -> list[str]:
        self.listings[folder] += 1
        return super().listed(folder)


@pytest.fixture
def counted(grouped: Store) -> Store:
    """A store with older layers, of which every read is counted."""
    run(grouped, "crf", limit=2)
    run(grouped, "crf", "crf.gt_prob=0.8", new_layer=True, limit=1)
    with pytest.raises(PartlyFailed):
        run(grouped, "candidates", "crf.gt_prob=0.8", new_layer=True)
    run(grouped, "ranking", "crf.gt_prob=0.8", new_layer=True, allow_partial=True)
    # As a process that has read nothing yet.
    store = Store(grouped.url)
    store.files = Counted(grouped.url)
    return store


def test_the_states_read_each_manifest_once(counted: Store) -> None:
    """However many nodes read a layer, its manifests are read once; those of a current layer are listed once.

    A second look in the same process reads none of them again.
    """
    project = Project.open(counted, ["crf.gt_prob=0.9"])
    assert [node.stale for node in states(project)] == [[]] * len(project.nodes)
    files = counted.files
    assert isinstance(files, Counted)
    manifests = {path: count for path, count in files.reads.items() if "/commits/" in path}
    current = [files.listings[layout.commits(node, layer)] for node, layer in project.pipeline.current().items()]
    # Of the older layers those of crf alone: of the only older layer of a node nothing is read.
    assert len(manifests) == 3 * 4 + 2 + 1 and set(manifests.values()) == {1}
    assert set(current) == {1}
    states(project)
    assert sum(count for path, count in files.reads.items() if "/commits/" in path) == len(manifests)


def test_the_next_look_sees_new_commits(grouped: Store) -> None:
    """Nothing is kept from one look to the next, even in one process."""
    project = Project.open(grouped)
    run(grouped, "crf")
    run(grouped, "candidates", limit=2)
    run(grouped, "ranking", allow_partial=True)
    before = {node.node: node for node in states(project)}
    run(grouped, "candidates")
    after = {node.node: node for node in states(project)}
    assert (before["candidates"].done, after["candidates"].done) == ([0, 1], [0, 1, 2, 3])
    assert (before["ranking"].stale, after["ranking"].stale) == ([], [0])
