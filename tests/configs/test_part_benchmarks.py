"""The presets of the part benchmarks, on small data sets and with tiny weights in the published formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.main import run_command
from schemas.pipeline import PipelineSpec
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset
from tests.stages.datasets.published import (
    box,
    compressed,
    paco,
    photograph,
    polygon,
    street,
    write_class_file,
    write_coco,
    write_mat,
    write_paco,
    write_tables,
    write_tiff,
    write_voc,
)

DATA = Path(__file__).parents[1] / "data"
MASK2FORMER, DISTILLED = DATA / "mask2former_tiny.pkl", DATA / "part_distillation_tiny.pth"
SUPERVISED = ("supervised_proposals", "supervised_parts", "few_shot_proposals", "few_shot_parts")
TRAINING = {
    "network": "{preset: tiny}",
    "steps": 2,
    "batch_size": 2,
    "num_points": 64,
    "threads": 1,
    "loader_threads": 1,
    "augment.size_px": 64,
}
Evaluated = Callable[..., dict[str, list[dict[str, Any]]]]


def pascal_part(root: Path) -> None:
    """Images with a dog of two parts each; every other image also has a bird."""
    names = {split: [f"{year}_{n}" for n in range(4)] for split, year in (("train", 2008), ("val", 2009))}
    write_voc(root, **names)
    halves = [("head", box(0, 0, 6, 10)), ("tail", box(6, 0, 6, 10))]
    for number, name in enumerate(name for listed in names.values() for name in listed):
        bird = [("bird", box(12, 12, 4, 8), [("head", box(12, 12, 4, 4))])] * (number % 2)
        write_mat(root / f"Annotations_Part/{name}.mat", ("dog", box(0, 0, 12, 10), halves), *bird)


def part_imagenet(root: Path) -> None:
    for split in ("train", "val", "test"):
        dog = [(0, [polygon(2, 2, 6, 6)]), (1, [polygon(10, 4, 6, 6)])]
        names = [f"n02085620_{split}{n}.JPEG" for n in range(3)]
        write_coco(root / f"{split}.json", dict.fromkeys(names, dog))
        for name in names:
            photograph(root / split / "n02085620" / name)


def cityscapes_part(root: Path) -> None:
    for split in ("train", "val"):
        for number in range(2):
            path = street(root, split, f"bonn_{number:06d}_000019")
            uids = np.zeros((24, 32), np.int32)
            uids[box(2, 2, 10, 6)], uids[box(2, 2, 4, 6)] = 24_001, 2_400_102
            write_tiff(path, uids)


def paco_lvis(root: Path) -> None:
    """Images of COCO with a dog of one part and a car of one part."""
    for number, split in enumerate(("train", "val", "test")):
        dog = [paco(1, 400, 1, compressed(box(2, 2, 12, 10))), paco(2, 2001, 1, [polygon(2, 2, 6, 10)])]
        car = [paco(3, 207, 3, compressed(box(14, 14, 8, 8))), paco(4, 2000, 3, [polygon(14, 14, 4, 8)])]
        names = [f"train2017/{number * 10 + n:012d}.jpg" for n in range(2)]
        write_paco(root / f"annotations/paco_lvis_v1_{split}.json", dict.fromkeys(names, dog + car))
        for name in names:
            photograph(root / name)


def part_imagenet_pp(root: Path) -> None:
    """Two classes with a JSON each, ten images of two parts; one image of a class is for val, one for test."""
    for wnid in ("n01440764", "n01530575"):
        names = [f"{wnid}_{n}.JPEG" for n in range(10)]
        both = [(1, [polygon(2, 2, 6, 6)]), (2, compressed(box(10, 4, 6, 6)))]
        write_class_file(root, wnid, dict.fromkeys(names, both))
        for name in names:
            photograph(root / f"train/{wnid}/{name}")
    write_tables(root)


DATASETS = {
    "pascal_part": pascal_part,
    "part_imagenet": part_imagenet,
    "cityscapes_part": cityscapes_part,
    "paco_lvis": paco_lvis,
    "part_imagenet_pp": part_imagenet_pp,
}


def overrides(preset: str) -> Iterator[str]:
    """Overrides that put in tiny networks and files; everything else is the preset's."""
    for name, node in read_preset(preset).nodes.items():
        stage = node.stage or name
        if stage == "weights":
            is_final = "num_parts" in node.settings
            yield f"{name}.file={DISTILLED if is_final else MASK2FORMER}"
            yield f"{name}.network={{preset: tiny, normalize_queries: {str(is_final).lower()}}}"
        elif stage.endswith("-train"):
            yield from (f"{name}.{key}={value}" for key, value in TRAINING.items())


@pytest.fixture
def pd(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs ``pd`` in this process, checks that it succeeds, and returns what it prints."""

    def run(*words: object) -> str:
        capsys.readouterr()
        code = run_command([str(word) for word in words])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return run


@pytest.fixture
def evaluated(tmp_path: Path, pd: Callable[..., str]) -> Evaluated:
    """Makes a store of a data set with a preset, runs all of it, and returns the result of ``pd eval --json``."""

    def run(preset: str, dataset: str, *changes: str) -> dict[str, list[dict[str, Any]]]:
        root, store = tmp_path / dataset, tmp_path / "store"
        DATASETS[dataset.removesuffix("_val")](root)
        pd("init", store, "--images", root, "--dataset", dataset, "--preset", preset, *overrides(preset), *changes)
        pd("--store", store, "run")
        found: dict[str, list[dict[str, Any]]] = json.loads(pd("--store", store, "eval", "--json"))["nodes"]
        return found

    return run


def whole(rows: list[dict[str, Any]], evaluated: str) -> dict[str, float]:
    return {r["metric"]: r["value"] for r in rows if r["evaluated"] == evaluated and not r["class_name"]}


@pytest.mark.parametrize("dataset", DATASETS)
def test_supervised_parts(evaluated: Evaluated, dataset: str) -> None:
    """On each data set, learnt names are scored without a vote and on the held-out splits only."""
    shared = ["part-train.shared_names=true"] if dataset == "pascal_part" else []
    rows = evaluated("supervised_parts", dataset, *shared)["eval-parts"]
    numbers = whole(rows, "parts")
    # Held out: four dogs and two birds; two splits of three images; two persons; four dogs and cars; two splits of two.
    expected = {"pascal_part": 6, "part_imagenet": 6, "cityscapes_part": 2, "paco_lvis": 8, "part_imagenet_pp": 4}
    assert numbers["samples"] == expected[dataset]
    assert numbers["A-mIoU-oracle"] >= numbers["A-mIoU"] >= 0


def test_few_shot_parts_begin_with_distilled_weights(evaluated: Evaluated) -> None:
    """Training starts from the body of a class-specific model and uses a quarter of the training images."""
    rows = evaluated("few_shot_parts", "part_imagenet", "few-parts.percent=34")["eval-parts"]
    assert whole(rows, "parts")["samples"] == 6


@pytest.mark.parametrize(
    ("preset", "dataset"), [("supervised_proposals", "pascal_part"), ("few_shot_proposals", "cityscapes_part")]
)
def test_supervised_proposals(evaluated: Evaluated, preset: str, dataset: str) -> None:
    """Recall is over all objects of the held-out images, with overlaps and with one label per pixel."""
    numbers = whole(evaluated(preset, dataset)["eval-proposals"], "proposals")
    assert numbers["samples"] == {"pascal_part": 4, "cityscapes_part": 2}[dataset]
    assert 0 <= numbers["AR@200-unique"] <= 100 and "AR@200" in numbers


PIXELS = [("pascal_part_val", 4), ("paco_lvis_val", 2), ("part_imagenet_pp_val", 2)]


@pytest.mark.parametrize(("dataset", "samples"), PIXELS)
def test_pixel_grouping(evaluated: Evaluated, dataset: str, samples: int) -> None:
    """Every true object is grouped, without and with the CRF; recall counts images."""
    found = evaluated("pixel_grouping", dataset, "grouping.k=2", "crf.long_side=0", "grouping.long_side=64")
    assert whole(found["eval-grouping"], "grouping")["AR@200"] > 0
    assert whole(found["eval-crf"], "crf")["samples"] == samples


def test_published_models(evaluated: Evaluated, tmp_path: Path) -> None:
    """Proposals, their clusters and the final model are scored; a file of class codes names the model's slots."""
    slots = tmp_path / "labels.txt"
    slots.write_text("n00000001,tench\nn02085620,chihuahua\n")
    few = ("ranking.k=2", "candidates.min_score=0", "proposals.long_side=64", "distill.long_side=64")
    found = evaluated("published_models", "part_imagenet", f"distill.slots={slots}", *few)
    assert whole(found["eval-proposals"], "proposals")["samples"] == 9
    assert whole(found["eval-distill"], "distill")["samples"] == whole(found["eval-labels"], "labels")["samples"] == 9
    assert whole(found["eval-distill"], "distill")["C-mIoU"] > 0


def test_a_model_of_imagenet_1k_is_scored_on_all_of_its_classes(evaluated: Evaluated, tmp_path: Path) -> None:
    """On PartImageNet++ the slots of the model are the classes of ImageNet, by their codes: every sample counts."""
    slots = tmp_path / "labels.txt"
    slots.write_text("n01440764,tench\nn01530575,brambling\n")
    few = ("ranking.k=2", "candidates.min_score=0", "proposals.long_side=64", "distill.long_side=64")
    found = evaluated("published_models", "part_imagenet_pp", f"distill.slots={slots}", *few)
    assert whole(found["eval-distill"], "distill")["samples"] == 20
    assert {row["class_name"] for row in found["eval-distill"] if row["class_name"]} == {"tench", "brambling"}


def test_clusters_label_every_object_of_an_image(evaluated: Evaluated) -> None:
    """In images with several objects each has labels of its own class: all six samples get some."""
    few = ("ranking.k=2", "candidates.min_score=0", "proposals.long_side=64")
    unused = ("final-model.num_parts=0", f"final-model.file={MASK2FORMER}", "distill.slots=''")
    found = evaluated("published_models", "pascal_part_val", *few, *unused)
    assert whole(found["eval-labels"], "labels")["samples"] == 6
    of_class = {row["class_name"]: row["value"] for row in found["eval-labels"] if row["metric"] == "mIoU"}
    assert set(of_class) == {"dog", "bird"} and all(value > 0 for value in of_class.values())


@pytest.mark.parametrize("preset", SUPERVISED)
def test_the_numbers_of_the_supervised_baselines(preset: str) -> None:
    """20,000 steps of 32 images at a constant 1e-4, from COCO or distilled weights, with nothing frozen."""
    nodes = Pipeline(read_preset(preset), {}, "/images").nodes
    settings = nodes["part-train" if "parts" in preset else "proposal-train"].settings.model_dump()
    expected = {"steps": 20_000, "batch_size": 32, "lr": 1e-4, "freeze": (), "milestones": (40_000, 45_000)}
    assert {name: settings[name] for name in expected} == expected
    assert settings["network"]["num_queries"] == 200 and settings["augment"]["size_px"] == 640
    assert ("few-parts" in nodes) == preset.startswith("few")


def test_one_stage_differs_from_imagenet_1k_in_what_it_leaves_out() -> None:
    """There is no proposal model: segments are clustered, and the final model starts from Mask2Former."""
    one, full = (read_preset(name) for name in ("one_stage", "imagenet_1k"))
    assert "proposal-train" not in one.nodes
    for name in ("mask2former", "detic", "grouping", "crf", "distill"):
        assert resolved(one, name) == resolved(full, name)
    mine, theirs = (resolved(spec, "distill-train") for spec in (one, full))
    assert mine == theirs


def test_one_stage(pd: Callable[..., str], tmp_path: Path) -> None:
    """The CRF's segments are clustered, labelled and trained on, with a classical detector in place of Detic."""
    images, store = tmp_path / "imagenet", tmp_path / "store"
    for number in range(4):
        photograph(images / f"train/n02085620/n02085620_{number}.JPEG", 48, 48)
    (images / "labels.txt").write_text("n02085620,chihuahua\n")
    classical = ("detic.backend=saliency", 'detic.weights=""', 'detic.config=""')
    sizes = ("grouping.k=2", "grouping.long_side=64", "crf.long_side=0", "ranking.k=2", "distill.long_side=64")
    changes = [*overrides("one_stage"), *classical, *sizes, "distill-train.min_object_ratio=0"]
    pd("init", store, "--images", images, "--preset", "one_stage", *changes)
    pd("--store", store, "run")
    counts = pd("--store", store, "sql", "SELECT count(*) n FROM labels WHERE node = 'labels'", "--format", "json")
    assert json.loads(counts)[0]["n"] > 4


def resolved(spec: PipelineSpec, node: str) -> dict[str, Any]:
    return Pipeline(spec, {}, "/images").nodes[node].settings.model_dump()
