from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pdstore.errors import UsageError
from schemas.pipeline import PipelineSpec
from stages.plan.overrides import parse_override
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset

ROOT = Path(__file__).parents[3]


def spec(**nodes: dict[str, Any]) -> PipelineSpec:
    return PipelineSpec.parse({"nodes": {name.replace("_", "-"): node for name, node in nodes.items()}}, "pipeline")


def resolved(overrides: dict[str, dict[str, Any]] | None = None, **nodes: dict[str, Any]) -> Pipeline:
    return Pipeline(spec(ingest={}, **nodes), overrides)


DETIC = {"inputs": {"images": "ingest"}, "settings": {"backend": "saliency"}}
GROUPING = {"inputs": {"images": "ingest", "objects": "detic"}, "settings": {"backend": "pixels"}}
CRF = {"inputs": {"images": "ingest", "parts": "grouping"}}


def demo(*overrides: str) -> dict[str, str]:
    """Node -> fingerprint of the demo under overrides."""
    merged: dict[str, dict[str, Any]] = {}
    for text in overrides:
        node, key, value = parse_override(text)
        merged.setdefault(node, {})[key] = value
    return Pipeline(read_preset("demo"), merged, "images").current()


def test_nodes_come_after_what_they_read() -> None:
    """Every node comes after its inputs, however the file orders them."""
    pipeline = resolved(crf=CRF, grouping=GROUPING, detic=DETIC)
    assert list(pipeline.nodes) == ["ingest", "detic", "grouping", "crf"]
    assert pipeline.downstream("detic") == ["grouping", "crf"]


def test_an_override_reaches_into_nested_settings() -> None:
    """Dots name the inner setting; the others of its group stay, and the origin says who set it."""
    pipeline = Pipeline(read_preset("demo"), {"segmenter": {"augment.size_px": 64, "network.num_queries": 5}}, "images")
    settings = pipeline["segmenter"].settings
    assert (settings.augment.size_px, settings.network.num_queries) == (64, 5)  # type: ignore[attr-defined]
    assert settings.augment.scale_min == 0.85  # type: ignore[attr-defined]
    assert pipeline["segmenter"].origin["augment"] == "override"
    assert pipeline["segmenter"].origin["steps"] == "preset"


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            {"detic": {**DETIC, "settings": {"bakend": "tiny"}}},
            r"detic.bakend: unknown setting. Did you mean 'backend'",
        ),
        ({"detic": {**DETIC, "settings": {"max_objects": "many"}}}, r"detic.max_objects: .*integer.*found 'many'"),
        (
            {"detic": {**DETIC, "settings": {"max_objects": 0}}},
            r"detic.max_objects: .*greater than or equal to 1, found 0",
        ),
        ({"detik": DETIC}, r"node detik: there is no stage 'detik'. Did you mean 'detic'"),
        ({"detic": {"inputs": {"image": "ingest"}}}, r"detic: stage detic has no input 'image'. .*'images'"),
        (
            {"detic": {"inputs": {"images": "ingst"}}},
            r"detic.inputs: the pipeline has no node 'ingst'. Did you mean 'ingest'",
        ),
        ({"detic": {}}, r"detic: the input 'images' is missing"),
        (
            {"detic": {"inputs": {"images": ["ingest", "ingest"]}}},
            r"detic, input images: expected one node, found 2: ingest, ingest",
        ),
        (
            {"detic": DETIC, "crf": {"inputs": {"images": "ingest", "parts": "detic"}}},
            r"crf, input parts: expected a node that writes parts, found detic \(objects\). Name a node",
        ),
        (
            {
                "a": {**CRF, "stage": "crf", "inputs": {"images": "ingest", "parts": "b"}},
                "b": {**CRF, "stage": "crf", "inputs": {"images": "ingest", "parts": "a"}},
            },
            "these nodes read each other in a cycle: a, b",
        ),
    ],
)
def test_what_is_wrong_in_a_pipeline_is_named(nodes: dict[str, Any], message: str) -> None:
    """Unknown stage, node, role, setting, a wrong type, table or cycle: where, and the nearest name."""
    with pytest.raises(UsageError, match=message):
        resolved(**nodes)


def test_an_override_of_an_unknown_node_or_setting_is_refused() -> None:
    """The error names the nearest node, or setting."""
    with pytest.raises(UsageError, match=r"override: the pipeline has no node 'detix'. Did you mean 'detic'"):
        resolved({"detix": {"max_objects": 1}}, detic=DETIC)
    with pytest.raises(UsageError, match=r"detic.max_object: unknown setting. Did you mean 'max_objects'"):
        resolved({"detic": {"max_object": 1}}, detic=DETIC)
    with pytest.raises(UsageError, match=r"segmenter.augment.size: unknown setting. Did you mean 'size_px'"):
        Pipeline(read_preset("demo"), {"segmenter": {"augment.size": 1}}, "images")


def test_all_faults_of_a_node_come_in_one_error() -> None:
    """The error lists all of them by path, not only the first."""
    with pytest.raises(UsageError) as caught:
        resolved(detic={**DETIC, "settings": {"backend": "x", "max_objects": 0, "wrods": []}})
    text = str(caught.value)
    assert "3 settings are not valid" in text
    assert all(path in text for path in ("detic.backend", "detic.max_objects", "detic.wrods"))


@pytest.mark.parametrize(
    "override",
    ["grouping.batch_size=3", "segmenter.threads=1", "segmenter.checkpoint_every=7", "proposal-train.keep=5"],
)
def test_settings_that_change_no_result_change_no_fingerprint(override: str) -> None:
    """Batch size of inference, threads, checkpoints: the layers stay the same."""
    assert demo(override) == demo()


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("grouping.k=5", "grouping"),
        ("ingest.copy=true", "ingest"),
        ("segmenter.lr=0.1", "segmenter"),
        ("detic.min_score=0.2", "detic"),
        ("crf.gt_prob=0.7", "crf"),
        ("segmenter.augment.size_px=64", "segmenter"),
    ],
)
def test_settings_that_change_results_change_all_that_follows(override: str, first: str) -> None:
    """The node's fingerprint and those of all nodes after it change, and no others."""
    before, after = demo(), demo(override)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {first, *Pipeline(read_preset("demo"), root="images").downstream(first)}


def test_a_file_counts_by_its_content(tmp_path: Path) -> None:
    """The digest of an annotation file, not its path or time, is part of the fingerprint."""
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    node = {"stage": "annotated-parts", "inputs": {"images": "ingest"}}

    def fingerprint(path: Path) -> str:
        return resolved(truth={**node, "settings": {"file": str(path)}})["truth"].fingerprint

    missing = fingerprint(one)
    one.write_text("a")
    two.write_text("a")
    assert missing != fingerprint(one) == fingerprint(two)
    two.write_text("bb")
    assert fingerprint(one) != fingerprint(two)
    with pytest.raises(UsageError, match=r"format coco needs a file and takes no folder"):
        resolved(truth=node)


@pytest.mark.parametrize(
    "module", ["stages.registry", "stages.plan.pipeline", "stages.run.runner", "stages.plan.states"]
)
def test_planning_loads_no_network_library(module: str) -> None:
    """Reading a pipeline and its state loads neither torch nor scikit-learn, so ``pd plan`` is quick."""
    heavy = ("torch", "transformers", "sklearn", "skimage", "scipy")
    program = f"import sys, {module}; print(*[m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
