from __future__ import annotations

from collections.abc import Callable

import pytest

from pdstore import Store
from pdstore.errors import UsageError
from stages.plan.editing import edited, pipeline_text, with_node, with_reader
from stages.plan.presets import parse_pipeline
from stages.plan.project import Project

PARTS = {"images": ["ingest"], "parts": ["grouping"]}


def test_the_text_of_a_pipeline_leads_to_the_same_layers(classical: Callable[..., Store]) -> None:
    """Overrides are part of the text, nested ones too; read again, every node has the fingerprint that it had."""
    project = Project.open(classical("grouping.k=3", "labels.crf={iterations: 3}", "labels.crf.gt_prob=0.8"))
    text = pipeline_text(project)
    again = edited(project, parse_pipeline(text, "text"))
    assert again.pipeline.current() == project.pipeline.current() and again.pipeline.overrides == {}
    assert "    k: 3\n" in text and "      gt_prob: 0.8\n" in text and "images: ingest\n" in text
    assert pipeline_text(again) == text


@pytest.mark.parametrize(("line", "fixed"), [("block_size: 7", "3"), ("seed: 5", "0")])
def test_what_is_fixed_at_the_start_stays(classical: Callable[..., Store], line: str, fixed: str) -> None:
    """Another block size or seed is refused with the value of the store; left out, it is that of the store."""
    project = Project.open(classical())
    with pytest.raises(UsageError, match=f"fixed when a store is made: it is {fixed} here.*Write {fixed}"):
        edited(project, parse_pipeline(f"{line}\nnodes: {{ingest: {{}}}}", "text"))
    assert list(edited(project, parse_pipeline("nodes: {ingest: {}}", "text")).nodes) == ["ingest"]


def test_a_new_node_stands_beside_the_others(classical: Callable[..., Store]) -> None:
    """It has its stage, inputs and settings; the others keep their layers and overrides, unless one is named too."""
    project = Project.open(classical("grouping.k=3"))
    found = with_node(project, "crf-weak", "crf", PARTS, ["crf-weak.iterations=1", "labels.top=5"])
    assert found["crf-weak"].settings.iterations == 1 and found["crf-weak"].upstream() == ["ingest", "grouping"]  # type: ignore[attr-defined]
    same = [name for name in project.nodes if found[name].fingerprint == project[name].fingerprint]
    assert same == [name for name in project.nodes if name != "labels"]
    assert project.store.current() == project.pipeline.current()


@pytest.mark.parametrize(
    ("name", "stage", "inputs", "overrides", "message"),
    [
        ("crf", "crf", PARTS, [], "already has a node 'crf'. Choose another name"),
        ("more", "crff", PARTS, [], "there is no stage 'crff'. Did you mean 'crf'"),
        ("more", "", PARTS, [], "there is no stage 'more'"),
        ("more", "crf", {"images": ["ingest"], "part": ["grouping"]}, [], "no input 'part'. Did you mean 'parts'"),
        ("more", "crf", {"images": ["ingest"], "parts": ["groupin"]}, [], "no node 'groupin'. Did you mean 'grouping'"),
        ("more", "crf", {"images": ["ingest"]}, [], "the input 'parts' is missing. Add"),
        ("more", "crf", {"images": ["ingest"], "parts": ["detic"]}, [], "expected a node that writes parts"),
        ("more", "crf", PARTS, ["more.iteration=1"], "more.iteration: unknown setting. Did you mean 'iterations'"),
        ("more", "crf", PARTS, ["mor.iterations=1"], "no node 'mor'. Did you mean 'more'"),
        ("More!", "crf", PARTS, [], "pipeline.nodes.More!"),
    ],
)
def test_a_new_node_that_does_not_fit(
    classical: Callable[..., Store],
    name: str,
    stage: str,
    inputs: dict[str, list[str]],
    overrides: list[str],
    message: str,
) -> None:
    """The error names the key and the nearest name that there is."""
    with pytest.raises(UsageError) as caught:
        with_node(Project.open(classical()), name, stage, inputs, overrides)
    assert message in str(caught.value)


def test_a_node_reads_another_one_in_place_of_its_input(classical: Callable[..., Store]) -> None:
    """Its other inputs and all other nodes stay; a node that does not read the old one is refused."""
    project = Project.open(classical("grouping.k=3"))
    added = with_node(project, "crf-weak", "crf", PARTS, [])
    found = with_reader(added, "candidates", "crf", "crf-weak")
    assert found["candidates"].inputs == {**added["candidates"].inputs, "segments": ("crf-weak",)}
    assert found["labels"].inputs["segments"] == ("crf",) and found["grouping"] == added["grouping"]
    with pytest.raises(UsageError, match=r"ranking: the node does not read crf. These do: candidates, labels"):
        with_reader(added, "ranking", "crf", "crf-weak")
