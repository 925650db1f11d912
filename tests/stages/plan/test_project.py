from __future__ import annotations

from collections.abc import Callable

import pytest

from pdstore import Store, layout
from pdstore.errors import CorruptData, UsageError
from schemas.pipeline import NodeSpec
from stages.plan.project import Project


def test_a_recorded_pipeline_comes_back(classical: Callable[..., Store]) -> None:
    """What was recorded, overrides with it, is loaded; further overrides come on top and are kept once recorded."""
    store = classical("grouping.k=3")
    project = Project.open(store)
    assert project["grouping"].settings.k == 3  # type: ignore[attr-defined]
    assert store.current() == project.pipeline.current()
    changed = Project.open(store, ["grouping.k=5", "crf.iterations=1"])
    assert Project.open(store).pipeline.current() == project.pipeline.current() != changed.pipeline.current()
    changed.record()
    assert store.current() == Project.open(store).pipeline.current() == changed.pipeline.current()


def test_a_store_without_a_pipeline_is_refused(classical: Callable[..., Store]) -> None:
    """A missing pipeline is a usage error that names the file; a broken one is CorruptData."""
    store = classical()
    store.files.remove_tree(layout.PIPELINES)
    store.files.write(layout.PIPELINE, b'{"spec": {}}')
    with pytest.raises(CorruptData, match=r"pipeline\.json"):
        Project.open(store)
    store.files.remove(layout.PIPELINE)
    with pytest.raises(UsageError, match=r"the store has no pipeline \(no pipeline.json\). Run pd init again"):
        Project.open(store)


def test_a_node_is_had_by_its_name(classical: Callable[..., Store]) -> None:
    """With its layer, which may be empty; an unknown name leads to the nearest."""
    store = classical()
    project = Project.open(store)
    assert next(iter(project.nodes)) == "ingest" and project["crf"].stage.name == "crf"
    assert project.layer("crf").fingerprint == store.current()["crf"] and project.layer("crf").units() == []
    with pytest.raises(UsageError, match="the pipeline has no node 'labls'. Did you mean 'labels'"):
        project["labls"]


def test_units_are_counted_by_the_listing(classical: Callable[..., Store]) -> None:
    """Twelve images in blocks of three; one bucket holds both classes."""
    project = Project.open(classical())
    assert [project.num_units(name) for name in ("ingest", "crf", "ranking", "labels")] == [4, 4, 1, 4]
    assert project.source.root.endswith("images") and project.listing.images == 12


def test_an_extended_project_has_further_nodes_and_overrides(classical: Callable[..., Store]) -> None:
    """The store does not change until the extended pipeline is recorded, and the old nodes keep their layers."""
    store = classical("grouping.k=3")
    project = Project.open(store)
    smooth = NodeSpec(stage="crf", inputs={"images": ("ingest",), "parts": ("grouping",)})
    extended = project.extended({"smooth": smooth}, ["smooth.iterations=7"])
    assert set(extended.nodes) - set(project.nodes) == {"smooth"} and extended["smooth"].settings.iterations == 7  # type: ignore[attr-defined]
    assert {name: extended[name].fingerprint for name in project.nodes} == project.pipeline.current()
    assert "smooth" not in Project.open(store).nodes
    extended.record()
    assert Project.open(store).pipeline.current() == extended.pipeline.current() == store.current()
