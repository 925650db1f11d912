"""The part benchmarks from the command line: published files go in, tables come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Pd
from tests.stages.datasets.published import (
    HEIGHT,
    WIDTH,
    box,
    compressed,
    photograph,
    polygon,
    street,
    write_coco,
    write_mat,
    write_tiff,
    write_voc,
)

DOG, CAR = "n02085620", "n02701002"
PARTS = """
SELECT i.split, i.key, i.class_name, p.object_id, p.part_id, p.category_id, p.category_name, p.part_name, p.area
FROM parts p JOIN images i USING (image_id) WHERE p.node = 'truth-parts' ORDER BY i.key, object_id, part_id
"""
OBJECTS = """
SELECT i.key, o.object_id, o.category_id, o.category_name, o.area
FROM objects o JOIN images i USING (image_id) WHERE o.node = 'truth-objects' ORDER BY i.key, object_id
"""
ERRORS = "SELECT node, subject, reason, detail FROM errors ORDER BY ALL"


def ask(pd: Pd, store: Path, query: str) -> list[list[Any]]:
    result = pd("--store", store, "sql", query, "--format", "json")
    assert result.code == 0, result.err
    return [list(row.values()) for row in json.loads(result.out)]


def ingest(pd: Pd, store: Path, root: Path, dataset: str, *words: str) -> str:
    """Make and fill a store; returns what the run printed on stderr."""
    made = pd("init", store, "--images", root, "--dataset", dataset, *words)
    assert made.code == 0, made.err
    result = pd("--store", store, "run")
    assert result.code == 0, result.err
    return result.err


def test_part_imagenet(pd: Pd, tmp_path: Path) -> None:
    """val and test form one store of two splits; every mask format is read, parts are merged, faults are counted."""
    root, store = tmp_path / "PartImageNet", tmp_path / "pim"
    dog = [
        (0, [polygon(2, 2, 4, 4), polygon(2, 10, 4, 4)]),
        (1, compressed(box(10, 2, 3, 3))),
        (0, [polygon(8, 20, 2, 2)]),
    ]
    write_coco(
        root / "val.json", {f"{DOG}_1.JPEG": dog, f"{DOG}_2.JPEG": dog, f"{DOG}_3.JPEG": [(0, {"size": [1, 1]})]}
    )
    write_coco(root / "test.json", {f"{CAR}_1.JPEG": [(3, [polygon(0, 0, 5, 6)])]})
    for key in (f"val/{DOG}/{DOG}_1", f"val/{DOG}/{DOG}_3", f"test/{CAR}_1"):
        photograph(root / f"{key}.JPEG")
    printed = ingest(pd, store, root, "part_imagenet_valtest")
    first, second = f"test/{CAR}_1.JPEG", f"val/{DOG}/{DOG}_1.JPEG"
    assert ask(pd, store, PARTS) == [
        ["test", first, "car", 0, 0, 1, "car", "side mirror", 30],
        ["val", second, "quadruped", 0, 0, 0, "quadruped", "head", 36],
        ["val", second, "quadruped", 0, 1, 0, "quadruped", "tail", 9],
    ]
    assert ask(pd, store, OBJECTS) == [[first, 0, 1, "car", 30], [second, 0, 0, "quadruped", 45]]
    assert [row[:3] for row in ask(pd, store, ERRORS)] == [
        ["ingest", f"val/{DOG}/{DOG}_2.JPEG", "missing_file"],
        ["truth-objects", f"val/{DOG}/{DOG}_3.JPEG", "bad_annotation"],
        ["truth-parts", f"val/{DOG}/{DOG}_3.JPEG", "bad_annotation"],
    ]
    assert "ingest: 1 images left out" in printed and "truth-parts: 1 images left out" in printed
    assert "truth-parts: 4 images listed, 4 of them in the store, 4 annotations used\n" in printed


def test_pascal_part(pd: Pd, tmp_path: Path) -> None:
    """One store holds both splits and several objects per image; missing and broken annotation files are error rows."""
    root, store = tmp_path / "VOC2012", tmp_path / "voc"
    write_voc(root, train=["2008_1", "2008_2"], val=["2009_1", "2009_2"])
    legs = [("lfleg", box(8, 0, 4, 2)), ("head", box(0, 0, 3, 3)), ("rbleg", box(8, 6, 4, 2))]
    write_mat(root / "Annotations_Part/2008_1.mat", ("person", box(0, 12, 9, 9), []), ("dog", box(0, 0, 12, 10), legs))
    write_mat(root / "Annotations_Part/2009_1.mat", ("table", box(0, 0, 2, 2), []))
    (root / "Annotations_Part/2009_2.mat").write_bytes(b"broken")
    printed = ingest(pd, store, root, "pascal_part")
    assert ask(pd, store, PARTS) == [
        ["train", "JPEGImages/2008_1.jpg", "", 1, 0, 11, "dog", "leg", 16],
        ["train", "JPEGImages/2008_1.jpg", "", 1, 1, 11, "dog", "head", 9],
    ]
    assert ask(pd, store, OBJECTS) == [
        ["JPEGImages/2008_1.jpg", 0, 14, "person", 81],
        ["JPEGImages/2008_1.jpg", 1, 11, "dog", 120],
        ["JPEGImages/2009_1.jpg", 0, 10, "diningtable", 4],
    ]
    faults = [row[:3] for row in ask(pd, store, ERRORS) if row[0] == "truth-parts"]
    assert [(Path(key).stem, reason) for _, key, reason in faults] == [
        ("2008_2", "missing_file"),
        ("2009_2", "damaged"),
    ]
    assert "truth-parts: 2 images left out, with the reason in the table errors" in printed
    assert len(ask(pd, store, "SELECT * FROM classes")) == 20
    assert ask(pd, store, "SELECT DISTINCT class_id, class_name, wnid FROM images") == [[-1, "", ""]]


def test_cityscapes_part(pd: Pd, tmp_path: Path) -> None:
    """Instances of five classes are read; parts stay unmerged if init says so; a truncated file is an error row."""
    root, store = tmp_path / "cityscapes", tmp_path / "city"
    uids = np.full((HEIGHT, WIDTH), 7, np.int32)
    uids[box(0, 0, 4, 4)] = 2_600_102
    uids[box(4, 0, 2, 4)] = 26_001
    uids[box(10, 10, 3, 3)] = 2_400_001
    write_tiff(street(root, "val", "ulm_1"), uids)
    path = street(root, "val", "bonn_1")
    write_tiff(path, uids)
    path.write_bytes(path.read_bytes()[:-200])
    ingest(pd, store, root, "cityscapes_part_val", "truth-parts.merge_parts=false")
    key = "leftImg8bit/val/ulm/ulm_1_leftImg8bit.png"
    assert ask(pd, store, PARTS) == [
        ["val", key, "", 0, 0, 0, "person", "torso", 9],
        ["val", key, "", 1, 0, 2, "car", "wheel", 16],
    ]
    assert ask(pd, store, OBJECTS) == [[key, 0, 0, "person", 9], [key, 1, 2, "car", 24]]
    assert [(node, reason) for node, _, reason, _ in ask(pd, store, ERRORS)] == [
        ("truth-objects", "damaged"),
        ("truth-parts", "damaged"),
    ]
    shown = json.loads(pd("--store", store, "config", "show", "--json").out)
    assert [shown[node]["merge_parts"]["value"] for node in ("truth-objects", "truth-parts")] == [True, False]


def test_a_few_labels_are_a_layer_of_their_own(pd: Pd, tmp_path: Path) -> None:
    """percent takes that share of the images as a layer of its own; the 20 % are among the 50 %."""
    root, store = tmp_path / "PartImageNet", tmp_path / "pim"
    write_coco(root / "train.json", {f"{DOG}_{i}.JPEG": [(0, [polygon(0, 0, 4, 4)])] for i in range(10)})
    for i in range(10):
        photograph(root / f"train/{DOG}/{DOG}_{i}.JPEG")
    ingest(pd, store, root, "part_imagenet_train")
    keys_of = {}
    for percent in (100, 50, 20):
        if percent < 100:
            result = pd("--store", store, "run", "truth-parts", f"truth-parts.percent={percent}", "--new-layer")
            assert result.code == 0, result.err
        keys_of[percent] = {row[1] for row in ask(pd, store, PARTS)}
    assert [len(keys) for keys in keys_of.values()] == [10, 5, 2]
    assert keys_of[20] < keys_of[50] < keys_of[100]


GROUPED = """
nodes:
  ingest: {}
  truth-objects: &truth {stage: annotated-objects, inputs: {images: ingest}, settings: {file: overwritten.json}}
  truth-parts: {<<: *truth, stage: annotated-parts}
  grouping:
    inputs: {images: ingest, objects: truth-objects}
    settings: {backend: pixels, stride: 2, k: 2, metric: l2, objects_per_image: 10}
"""


def test_evaluation_by_the_name_of_the_data_set(pd: Pd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of several objects are scored against the data set that the store was made from."""
    root, preset = tmp_path / "VOC2012", tmp_path / "grouped.yaml"
    write_voc(root, val=["2009_1", "2009_2"])
    halves = [("head", box(0, 0, 6, 10)), ("tail", box(6, 0, 6, 10))]
    for name in ("2009_1", "2009_2"):
        bird = [("beak", box(12, 12, 4, 8))]
        write_mat(root / f"Annotations_Part/{name}.mat", ("dog", box(0, 0, 12, 10), halves), ("bird", bird[0][1], bird))
    preset.write_text(GROUPED)
    ingest(pd, tmp_path / "voc", root, "pascal_part_val", "--preset", str(preset))
    monkeypatch.setenv("PD_STORE", str(tmp_path / "voc"))
    scored = ["eval", "--dataset", "pascal_part_val", "--protocol", "reference", "--json"]
    scores = json.loads(pd(*scored, "grouping", "truth-objects").out or "{}")
    assert not scores, "true objects cannot be scored"
    rows = json.loads(pd(*scored, "grouping").out)["nodes"]["eval-grouping"]
    numbers = {row["metric"]: row["value"] for row in rows}
    assert numbers["samples"] == 2 and 0 < numbers["AR@200"] == numbers["AR@200-unique"] <= 100
    page = tmp_path / "report.html"
    assert pd("report", "--out", page, "--dataset", "pascal_part_val").code == 0
    assert "pascal_part_val" in page.read_text()
    wrong = pd("eval", "grouping", "--dataset", "pascal_part_vall")
    assert wrong.code == 2 and "Did you mean 'pascal_part_val'?" in wrong.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "part_imagenet_dev"], "there is no data set 'part_imagenet_dev'"),
        (["--dataset", "part_imagenet_val"], "there is no val.json or annotations/val.json here"),
        (["--dataset", "pascal_part"], "there is no ImageSets/Main/train.txt here"),
        (["--dataset", "cityscapes_part_val"], "there are no images leftImg8bit/val/<city>/*_leftImg8bit.png here"),
        (
            ["--dataset", "paco_lvis_train"],
            "there is no paco_lvis_v1_train.json or annotations/paco_lvis_v1_train.json",
        ),
        (
            ["--dataset", "part_imagenet_pp"],
            "there is no json/<wnid>.json, Pin++_<split>.json or seg/<wnid>/<name>.png",
        ),
        (["--dataset", "pascal_part", "--list", "x"], "expected --dataset or --list, found both"),
        (["--dataset", "pascal_part", "--add"], "--add takes only --images, --list and --classes, found pascal_part"),
        (["--classes", "none.txt"], "there is no such file of classes"),
    ],
)
def test_what_is_wrong_at_init_is_one_error(
    words: list[str], message: str, pd: Pd, photos: Path, tmp_path: Path
) -> None:
    """A wrong request is one line on stderr, and no store is made."""
    result = pd("init", tmp_path / "s", "--images", photos, *words)
    assert result.code == 2 and message in result.err and len(result.err.splitlines()) == 1
    assert not (tmp_path / "s").exists()
