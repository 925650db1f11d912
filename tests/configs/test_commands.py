"""The first commands of a preset's user, on a small folder in ImageNet's layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.main import run_command

Pd = Callable[..., tuple[int, str, str]]
NAMES = {"n01440764": "tench", "n02099601": "golden retriever"}


@pytest.fixture
def pd(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pd:
    """Runs ``pd`` in this process, in a folder without weights, and returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_command([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """``train/<wnid>/<wnid>_<n>.JPEG`` and ``labels.txt`` next to ``train``: two classes of two pictures."""
    root = tmp_path / "imagenet"
    for wnid in NAMES:
        for number in range(2):
            path = root / "train" / wnid / f"{wnid}_{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    (root / "labels.txt").write_text("".join(f"{wnid},{name}\n" for wnid, name in NAMES.items()))
    return root


@pytest.mark.parametrize("preset", ["imagenet_1k", "imagenet_21k"])
@pytest.mark.parametrize("has_folder", [False, True])
def test_the_first_commands_work_until_weights_are_missing(
    pd: Pd, imagenet: Path, tmp_path: Path, preset: str, has_folder: bool
) -> None:
    """init and plan name all that is missing, ingest needs none; a node that needs a file names it in one error."""
    if has_folder:
        (tmp_path / "weights").mkdir()
    code, out, _ = pd("init", "parts", "--images", imagenet, "--preset", preset)
    assert code == 0 and "tench, golden retriever" in out
    code, out, err = pd("--store", "parts", "plan")
    assert code == 0 and "mask2former" in out and "distill-train" in out
    assert "named by mask2former.file" in err and "named by detic.weights" in err
    assert pd("--store", "parts", "stage", "run", "ingest")[0] == 0
    for node, setting in (("mask2former", "file"), ("detic", "weights")):
        code, _, err = pd("--store", "parts", "stage", "run", node)
        lines = [line for line in err.splitlines() if "rror" in line or "expected" in line]
        assert code == 1 and len(lines) == 1
        assert "weights/" in err and f"named by {node}.{setting}" in err
        assert "pd config set" in err


def test_a_file_in_another_place_is_named_at_init(pd: Pd, imagenet: Path) -> None:
    """``mask2former.file=…`` replaces the preset's path."""
    pd("init", "parts", "--images", imagenet, "--preset", "imagenet_1k", "mask2former.file=/data/weights/swin_l.pkl")
    code, _, err = pd("--store", "parts", "stage", "run", "mask2former")
    assert code == 1 and "/data/weights/swin_l.pkl: no such file" in err and "named by mask2former.file" in err


def test_values_of_a_networks_preset_are_shown_as_such(pd: Pd) -> None:
    """A value comes from the pipeline's preset, the network's preset, an override, or the default."""
    words = ("config", "show", "--preset", "imagenet_1k", "--json", "distill-train", "distill-train.network.window=7")
    code, out, _ = pd(*words)
    shown = json.loads(out)["distill-train"]
    assert code == 0
    for setting, value, origin in [
        ("network.preset", "swin-l", "preset"),
        ("network.normalize_queries", True, "preset"),
        ("network.embedding_size", 192, "network swin-l"),
        ("network.hidden_sizes", [192, 384, 768, 1536], "network swin-l"),
        ("network.window", 7, "override"),
        ("network.detail_dim", 0, "default"),
        ("batch_size", 32, "preset"),
        ("ema_decay", 0.0, "default"),
        ("checkpoint_activations", True, "preset, operational"),
    ]:
        assert (shown[setting]["value"], shown[setting]["origin"]) == (value, origin), setting
    assert "network swin-l" in pd("config", "show", "--preset", "imagenet_1k", "proposal-train")[1]


def test_a_networks_preset_may_be_an_override(pd: Pd) -> None:
    """A network preset on the command line replaces the one in the file."""
    words = (
        "config",
        "show",
        "--preset",
        "imagenet_1k",
        "--json",
        "proposal-train",
        "proposal-train.network.preset=tiny",
    )
    shown = json.loads(pd(*words)[1])["proposal-train"]
    assert (shown["network.preset"]["value"], shown["network.preset"]["origin"]) == ("tiny", "override")
    assert (shown["network.num_queries"]["value"], shown["network.num_queries"]["origin"]) == (10, "network tiny")


def test_the_schema_is_json_schema_of_every_stage(pd: Pd) -> None:
    """It has the type, bounds, choices and description of every setting, for editors and other programs."""
    code, out, _ = pd("config", "schema")
    schema = json.loads(out)
    assert code == 0
    grouping = schema["grouping"]["properties"]
    assert grouping["backend"]["enum"] == ["backbone", "auto", "pixels"] and grouping["k"]["minimum"] == 2
    assert schema["grouping"]["additionalProperties"] is False
    assert schema["proposal-train"]["$defs"]["NetworkSettings"]["properties"]["preset"]["enum"] == [
        "",
        "tiny",
        "swin-l",
    ]
    assert {"weights", "detic", "distill-train", "predict"} <= set(schema)
    assert all(p.get("description") for stage in schema.values() for p in stage["properties"].values())
