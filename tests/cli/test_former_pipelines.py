"""Stores and files of a release in which ``ranking`` read the segments itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pdstore import Identity, Layer, Store, layout
from stages.plan.project import Project
from tests.cli.conftest import PIPELINE, Pd, assert_error

OLD = PIPELINE.split("  candidates:")[0] + (
    "  ranking:\n"
    "    inputs: {images: ingest, objects: detic, segments: crf}\n"
    "    settings: {k: 2, metric: l2, min_score: 0.9}\n"
)
INPUTS = {"images": "ingest", "objects": "detic", "segments": "crf"}


@pytest.fixture
def former(pd: Pd, store: Path) -> Path:
    """A finished store as the earlier release left it: with one layer of ranking, and its settings in overrides."""
    assert pd("run").code == 0
    opened = Store(str(store))
    project = Project.open(opened)
    rows = project.layer("ranking").read(0)
    settings = {"k": 2, "n_init": 1, "metric": "l2", "normalize": False, "min_score": 0.0, "min_object_ratio": 0.0}
    settings |= {"min_inside": 0.0, "unique_pixels": True, "object_mask": "detector", "min_image_ratio": 0.0}
    upstream = {role: project[node].fingerprint for role, node in INPUTS.items()}
    identity = Identity("ranking", 2, settings | {"split": "train", "seed": 0}, {}, upstream)
    for node in ("candidates", "ranking"):
        shutil.rmtree(store / layout.layers(node))
    layer = opened.declare("ranking", identity, rows.table, "0.1.0")
    layer.commit(0, rows, inputs=dict.fromkeys(INPUTS, "digest"))
    values = json.loads((store / layout.PIPELINE).read_text())
    shutil.rmtree(store / layout.PIPELINES)
    for name in ("digest", "number", "created", "who", "before", "removed"):
        del values[name]
    del values["spec"]["nodes"]["candidates"], values["current"]["candidates"]
    values["spec"]["nodes"]["ranking"] |= {
        "inputs": {role: [node] for role, node in INPUTS.items()},
        "settings": {"k": 2, "metric": "l2", "min_score": 0.9},
    }
    values["overrides"] = {"ranking": {"min_score": 0.0}}
    values["current"]["ranking"], values["shown"], values["accepted"] = layer.fingerprint, {}, {}
    (store / layout.PIPELINE).write_text(json.dumps(values))
    return store


def clusters(pd: Pd) -> list[str]:
    result = pd("sql", "SELECT category_id, cluster, size FROM clusters ORDER BY ALL", "--format", "csv")
    assert result.code == 0, result.err
    return result.out.splitlines()


def test_a_store_of_an_earlier_release_opens(pd: Pd, former: Path) -> None:
    """Status has the new node, SQL shows the clusters that are there, and a run says what there is to choose."""
    nodes = json.loads(pd("status", "--json").out)["nodes"]
    words = {name: node["state"] for name, node in nodes.items()}
    done = dict.fromkeys(("ingest", "detic", "grouping", "crf"), "done")
    assert words == done | {"candidates": "not started", "ranking": "not started"}
    assert nodes["ranking"]["why"].startswith("settings changed: ") and len(nodes["ranking"]["other"]) == 1
    before = clusters(pd)
    assert len(before) == 1 + 4 and pd("verify").code == 0
    why = "ranking: no unit is committed under the current settings, but 1 are under others: "
    assert_error(pd("run"), 3, why, "ranking.min_score: 0.0 -> not set", "add --new-layer")
    assert clusters(pd) == before


def test_it_goes_on_with_the_same_clusters(pd: Pd, former: Path) -> None:
    """The recorded settings are those of the candidates now, overrides with them, so the clusters are the same."""
    before = clusters(pd)
    assert pd("run", "--new-layer").code == 0
    assert clusters(pd) == before
    opened = Store(str(former))
    project = Project.open(opened)
    assert project["candidates"].settings.min_score == 0.0  # type: ignore[attr-defined]
    old, new = sorted(opened.layers("ranking"), key=lambda layer: layer.fingerprint == project["ranking"].fingerprint)
    assert isinstance(old, Layer) and old.read(0)["centroid"].tobytes() == new.read(0)["centroid"].tobytes()
    recorded = json.loads((former / layout.PIPELINE).read_text())
    assert recorded["overrides"] == {"ranking": {}, "candidates": {"min_score": 0.0}}
    assert recorded["spec"]["nodes"]["ranking"]["inputs"] == {"candidates": ["candidates"]}


def test_a_file_of_an_earlier_release_is_read(pd: Pd, photos: Path, tmp_path: Path) -> None:
    """Its pipeline has the new node; a setting under its old name is an error that says the new one."""
    file = tmp_path / "old.yaml"
    file.write_text(OLD)
    assert pd("init", tmp_path / "new", "--images", photos, "--preset", file).code == 0
    shown = json.loads(pd("--store", tmp_path / "new", "config", "show", "--json").out)
    assert shown["candidates"]["min_score"]["value"] == 0.9 and "min_score" not in shown["ranking"]
    result = pd("--store", tmp_path / "new", "run", "ranking.min_score=0.5")
    assert_error(result, 2, "ranking.min_score: this is a setting of stage candidates now", "candidates.min_score")
