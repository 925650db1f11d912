"""``pd demo`` on an existing store: before anything runs, the request is compared with what the store holds."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from pdstore import Store
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.run.demo import open_demo, preset_differences
from tests.cli.conftest import Pd, assert_error, committed

OVERRIDES = ["grouping.k=3", "segmenter.steps=2"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo of 12 images that was killed before anything ran. No test changes it."""
    path = tmp_path_factory.mktemp("demos") / "demo"
    open_demo(str(path), 0, 12, OVERRIDES)
    return path


def test_the_same_command_continues(demo: Path) -> None:
    """A restart opens the demo as it is, with the same words, with fewer, or if it was killed before pipeline.json."""
    before = committed(demo)
    for images, overrides in ((12, OVERRIDES), (None, ["grouping.k=3"]), (None, [])):
        store = open_demo(str(demo), 0, images, overrides)
        nodes = Project.open(store, overrides).nodes.values()
        assert {node.name: node.fingerprint for node in nodes} == store.current()
    current = Store(str(demo)).current()
    (demo / "pipeline.json").unlink()
    shutil.rmtree(demo / "pipeline")
    assert open_demo(str(demo), 0, 12, OVERRIDES).current() == current
    # The record of the pipeline has another time.
    assert {**committed(demo), "pipeline.json": ""} == {**before, "pipeline.json": ""}


def test_another_demo_is_refused(pd: Pd, demo: Path) -> None:
    """Another number of images, another seed and a misspelt setting are usage errors; other settings are stale ones."""
    before = committed(demo)
    for code, words, message in (
        (2, ("--images", "30"), "the demo here has 12 images, not 30. Leave --images out"),
        (2, ("--seed", "1"), "the demo here has seed 0, not 1. Use its seed: --seed 0"),
        (2, ("--drawing", "textures"), "the demo here draws shapes, not textures. Leave --drawing out"),
        (2, ("--preset", "dmo"), "there is no preset 'dmo'"),
        (3, ("--preset", "no_weights"), "the demo here has another pipeline than no_weights (no_weights -> here): "),
        (2, ("grouping.kk=9",), "grouping.kk: unknown setting. Did you mean 'k'?"),
        (2, ("groping.k=9",), "Did you mean 'grouping'?"),
        (3, ("grouping.k=9", "crf.gt_prob=0.7"), f"pd --store {demo} run grouping.k=9 crf.gt_prob=0.7 --new-layer"),
        (3, ("grouping.k=9", "crf.gt_prob=0.7"), "other settings: grouping.k: 3 -> 9; crf.gt_prob: 0.6 -> 0.7. "),
    ):
        assert_error(pd("demo", "--store", demo, *words), code, message)
    assert committed(demo) == before


def test_the_error_of_another_preset_says_how_to_get_it(pd: Pd, demo: Path, tmp_path: Path) -> None:
    """The commands that it names give the demo this preset's pipeline, with the demo's own seed."""
    copy = shutil.copytree(demo, tmp_path / "demo")
    refused = pd("demo", "--store", copy, "--preset", "demo_best")
    commands = refused.err.partition("To give it this pipeline: ")[2].partition(". For a demo of its own")[0]
    assert len(commands.split(" && ")) == 2
    for command in commands.split(" && "):
        assert pd(*shlex.split(command)[1:]).code == 0
    assert preset_differences(Store(str(copy)), read_preset("demo_best")) == []


def test_the_store_is_that_of_the_demo_or_of_pd(
    pd: Pd, demo: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pd demo --store wins over pd --store, and that over PD_STORE; a store that is not a demo is never written to."""
    before = committed(store)
    assert_error(
        pd("demo"),
        2,
        f"{store}: the store here is not a demo: its images were not drawn by pd demo. Choose another folder",
    )
    assert_error(pd("--store", demo, "demo", "--images", "30"), 2, f"{demo}: the demo here has 12 images")
    result = pd("--store", tmp_path, "demo", "--store", demo, "--images", "30")
    assert_error(result, 2, f"{demo}: the demo here has 12 images")
    monkeypatch.setenv("PD_STORE", str(demo))
    assert_error(pd("demo", "--images", "30"), 2, f"{demo}: the demo here has 12 images")
    assert committed(store) == before and list(Path.cwd().iterdir()) == []
