"""PartImageNet++ and PACO-LVIS from the command line: published files go in, tables come out."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Pd
from tests.cli.verbs.test_init_datasets import ERRORS, OBJECTS, PARTS, ask, ingest
from tests.stages.datasets.published import (
    HEIGHT,
    WIDTH,
    box,
    compressed,
    paco,
    photograph,
    polygon,
    uncompressed,
    write_class_file,
    write_label_map,
    write_paco,
    write_tables,
)


def test_paco_lvis(pd: Pd, tmp_path: Path) -> None:
    """Parts follow obj_ann_id, and the object keeps its own mask; a wrong part is an error row, its image stays."""
    root, store = tmp_path / "coco", tmp_path / "paco"
    dogs = [
        paco(1, 400, 1, compressed(box(0, 0, 10, 10))),
        paco(2, 400, 2, [polygon(12, 12, 8, 8)]),
        paco(3, 2001, 2, [polygon(12, 12, 4, 4)]),
        paco(4, 2001, 1, uncompressed(box(0, 0, 3, 3))),
        paco(5, 2002, 1, [polygon(7, 0, 2, 2)]),
        paco(6, 2002, 1, [polygon(7, 6, 2, 2)]),
        paco(7, 2002, 99, [polygon(7, 6, 2, 2)]),
    ]
    key, bare, train, missing = (f"train2017/{number:012d}.jpg" for number in range(4))
    for split, images in {"train": {train: dogs[1:2]}, "val": {key: dogs, bare: []}, "test": {missing: []}}.items():
        write_paco(root / f"annotations/paco_lvis_v1_{split}.json", images)
    for name in (key, bare, train):
        photograph(root / name)
    ingest(pd, store, root, "paco_lvis_val")
    assert ask(pd, store, PARTS) == [
        ["val", key, "", 0, 0, 2, "dog", "head", 9],
        ["val", key, "", 0, 1, 2, "dog", "leg", 8],
        ["val", key, "", 1, 0, 2, "dog", "head", 16],
    ]
    assert ask(pd, store, OBJECTS) == [[key, 0, 2, "dog", 100], [key, 1, 2, "dog", 64]]
    faults = ask(pd, store, ERRORS)
    assert [row[:3] for row in faults] == [[f"truth-{of}", key, "bad_annotation"] for of in ("objects", "parts")]
    assert all("annotation 7" in row[3] and "no usable object of this image has the id 99" in row[3] for row in faults)
    ingest(pd, tmp_path / "all", root, "paco_lvis")
    splits = ask(pd, tmp_path / "all", "SELECT split, count(*) FROM images GROUP BY 1 ORDER BY 1")
    assert splits == [["train", 1], ["val", 2]]
    assert ask(pd, tmp_path / "all", ERRORS)[0][1:3] == [missing, "missing_file"]


def tench_and_bird(root: Path, form: str) -> dict[str, str]:
    """Write ten images of two classes as one form of PartImageNet++ has them: class -> key of one with a fault."""
    square, tail = [polygon(0, 0, 6, 6)], compressed(box(4, 4, 6, 6))
    for wnid, parts in (("n01440764", (1, 2)), ("n01530575", (3, 5))):
        names = [f"{wnid}_{n}.JPEG" for n in range(10)]
        drawn = {name: [(1, square), (parts[1] - parts[0] + 1, tail)] for name in names}
        if form == "json":
            write_class_file(root, wnid, {**drawn, names[0]: [(1, square), (77, tail)]})
        for name in names:
            photograph(root / f"img/{wnid}/{name}")
            if form == "seg" and name != names[0]:
                write_label_map(
                    root / f"seg/{wnid}/{name[:-5]}.png", (parts[0], box(0, 0, 6, 6)), (parts[1], box(4, 4, 6, 6))
                )
        if form == "seg":
            Image.new("L", (WIDTH, HEIGHT + 1), parts[0]).save(root / f"seg/{wnid}/{wnid}_0.png")
    write_tables(root)
    return {wnid: f"img/{wnid}/{wnid}_0.JPEG" for wnid in ("n01440764", "n01530575")}


@pytest.mark.parametrize("form", ["json", "seg"])
def test_part_imagenet_pp(form: str, pd: Pd, tmp_path: Path) -> None:
    """All classes of a small ImageNet; JSON has overlapping parts, PNGs do not; a fault is a row of errors."""
    root, store = tmp_path / "pp", tmp_path / "store"
    faulty = tench_and_bird(root, form)
    ingest(pd, store, root, "part_imagenet_pp")
    assert ask(pd, store, "SELECT class_id, wnid, class_name FROM classes ORDER BY 1") == [
        [0, "n01440764", "tench"],
        [1, "n01530575", "brambling"],
    ]
    assert ask(pd, store, "SELECT split, count(*) FROM images GROUP BY 1 ORDER BY 1") == [
        ["test", 2],
        ["train", 16],
        ["val", 2],
    ]
    size = 36 if form == "json" else 32
    key = "img/n01530575/n01530575_1.JPEG"
    assert [row[2:] for row in ask(pd, store, PARTS) if row[1] == key] == [
        ["brambling", 0, 0, 1, "brambling", "head", size],
        ["brambling", 0, 1, 1, "brambling", "foot", 36],
    ]
    assert [row[1:] for row in ask(pd, store, OBJECTS) if row[0] == key] == [[0, 1, "brambling", 68]]
    faults = [row[1:3] for row in ask(pd, store, ERRORS) if row[0] == "truth-parts"]
    assert faults == [[key, "bad_annotation" if form == "json" else "wrong_size"] for key in faulty.values()]
    left = len(ask(pd, store, OBJECTS))
    assert left == (20 if form == "json" else 18)
    for split, count in (("train", 16), ("val", 2)):
        ingest(pd, tmp_path / split, root, f"part_imagenet_pp_{split}")
        assert ask(pd, tmp_path / split, "SELECT split, count(*) FROM images GROUP BY 1") == [[split, count]]
