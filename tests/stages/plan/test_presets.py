from __future__ import annotations

from pathlib import Path

import pytest

from pdstore.errors import UsageError
from stages.plan.pipeline import Pipeline
from stages.plan.presets import parse_pipeline, preset_names, read_preset


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves(name: str) -> None:
    """Each preset that comes with the program is a valid pipeline, and says what it is for."""
    preset = read_preset(name)
    assert preset.description
    assert list(Pipeline(preset, root="images").nodes)


def test_a_pipeline_file_of_the_user(tmp_path: Path) -> None:
    """A path is read as YAML; the error for an unknown preset names the nearest one, that for broken YAML the place."""
    path = tmp_path / "mine.yaml"
    path.write_text("nodes:\n  ingest: {}\n")
    assert list(Pipeline(read_preset(str(path))).nodes) == ["ingest"]
    for text, message in (
        ("nodes: [", "not valid YAML.*line 1, column 9"),
        ("- 1", "a mapping with 'nodes'"),
        ("x: 1", "unknown setting"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_preset(str(path))
    with pytest.raises(UsageError, match="no preset 'dmo'. .*Did you mean 'demo'"):
        read_preset("dmo")
    with pytest.raises(UsageError, match="none.yaml: this YAML file does not exist"):
        read_preset(str(tmp_path / "none.yaml"))


def test_a_file_has_only_what_is_different(tmp_path: Path) -> None:
    """Settings and inputs are merged with those of the preset, node by node; null takes a node or an input away."""
    demo = read_preset("demo")
    found = parse_pipeline(
        """
extends: demo
description: mine
nodes:
  grouping: {settings: {k: 5}}
  labels: {settings: {crf: {iterations: 3}}}
  distill: {settings: {crf: null}}
  extra: {stage: eval, inputs: {images: ingest, truth: truth-parts, predicted: labels}}
  eval-crf: {inputs: {truth_objects: null}}
  eval-one-part: null
""",
        "mine",
    )
    assert (found.description, found.block_size, found.seed) == ("mine", demo.block_size, demo.seed)
    assert set(demo.nodes) ^ set(found.nodes) == {"extra", "eval-one-part"}
    changed = {name for name in found.nodes if name in demo.nodes and found.nodes[name] != demo.nodes[name]}
    assert changed == {"grouping", "labels", "distill", "eval-crf"}
    assert found.nodes["grouping"].settings == {**demo.nodes["grouping"].settings, "k": 5}
    assert found.nodes["labels"].settings["crf"] == {**demo.nodes["labels"].settings["crf"], "iterations": 3}
    assert found.nodes["distill"].settings["crf"] is None
    assert set(demo.nodes["eval-crf"].inputs) - set(found.nodes["eval-crf"].inputs) == {"truth_objects"}
    assert list(Pipeline(found).nodes)


def test_a_file_extends_a_file_beside_it(tmp_path: Path) -> None:
    """A path is relative to the file that names it, and leads on; rounds are written out after all is merged."""
    (tmp_path / "base.yaml").write_text("extends: demo\nnodes: {ranking: {settings: {k: 4}}}\n")
    (tmp_path / "two.yaml").write_text("extends: base.yaml\nrounds: 2\n")
    nodes = read_preset(str(tmp_path / "two.yaml")).nodes
    assert nodes["ranking"].settings["k"] == nodes["ranking-2"].settings["k"] == 4
    repeated = ["proposals", "candidates", "ranking", "labels", "distill-train", "distill"]
    repeated += ["eval-labels", "eval-distill", "losses"]
    assert set(nodes) - set(read_preset("demo").nodes) == {f"{name}-2" for name in repeated}
    assert list(Pipeline(read_preset(str(tmp_path / "two.yaml"))).nodes)


def test_what_cannot_be_extended_is_said(tmp_path: Path) -> None:
    """An unknown preset, a file that is not there, something that is no name, and a circle."""
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    two.write_text("extends: one.yaml\n")
    for text, message in (
        ("extends: dmo", "no preset 'dmo'. .*Did you mean 'demo'"),
        ("extends: none.yaml", "none.yaml: this YAML file does not exist"),
        ("extends: [demo]", "expected the name of a preset .*, found \\['demo'\\]"),
        ("extends: two.yaml", "these extend each other: .*one.yaml, .*two.yaml"),
        ("extends: demo\nrounds: 0", "pipeline.rounds: .*greater than or equal to 1"),
    ):
        one.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_preset(str(one))
