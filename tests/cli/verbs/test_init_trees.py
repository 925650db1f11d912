"""What `pd init` makes of the trees that people have. docs/datasets.md shows the same table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.conftest import Pd, draw
from tests.stages.create.test_names import CRANE, TENCH, write_devkit
from tests.stages.source.test_tars import tar_bytes, write_tar

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"
MAPPING = f"{TENCH} tench, Tinca tinca\n{CRANE} crane\n"


class Tree(NamedTuple):
    """Keys of pictures, what else belongs to the tree, and what init is told beside --images."""

    keys: Sequence[str]
    write: Callable[[Path], object] = lambda root: None
    words: Sequence[str] = ()


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text(content)


def link(name: str, target: str) -> Callable[[Path], object]:
    """A class folder that lies on another disk."""

    def write(root: Path) -> None:
        draw(root.parent / target / "2.jpg", 2)
        (root / name).symlink_to(root.parent / target)

    return write


def picture(name: str) -> tuple[str, bytes]:
    """A member of a tar file."""
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder) / name, len(name))
        return name, (Path(folder) / name).read_bytes()


def class_tar(code: str) -> tuple[str, bytes]:
    """The tar file of a class, as a member of ILSVRC2012_img_train.tar."""
    return f"{code}.tar", tar_bytes(dict([picture(f"{code}_{n}.JPEG") for n in (1, 2)]))


VAL = "ILSVRC2012_val_0000000"
TRAIN = [f"train/{code}/{code}_{n}.JPEG" for code in (TENCH, CRANE) for n in (1, 2)]
TINY = [f"train/{code}/images/{code}" for code in (TENCH, CRANE)]
TREES = {
    "ImageNet, unpacked, with its devkit": Tree(
        [*TRAIN, f"val/{VAL}1.JPEG", f"val/{VAL}2.JPEG"],
        lambda root: write_devkit(root / "ILSVRC2012_devkit_t12"),
    ),
    "ImageNet, unpacked, with `labels.txt`": Tree(
        [*TRAIN, f"val/{VAL}1.JPEG"], text("labels.txt", f"{TENCH},tench\n{CRANE},crane\n")
    ),
    "ImageNet as Kaggle packs it": Tree(
        [f"ILSVRC/Data/CLS-LOC/{key}" for key in (*TRAIN, f"val/{VAL}1.JPEG", "test/ILSVRC2012_test_00000001.JPEG")],
        lambda root: [
            text("LOC_synset_mapping.txt", MAPPING)(root),
            text("LOC_val_solution.csv", f"ImageId,PredictionString\n{VAL}1,{CRANE} 1 2 3 4 \n")(root),
        ],
    ),
    "tiny-imagenet": Tree(
        [f"{key}_0.JPEG" for key in (*TINY, "val/images/val", "test/images/test")],
        lambda root: [
            text("words.txt", f"n00001740\tentity\n{CRANE}\tcrane\n{TENCH}\ttench, Tinca tinca\n")(root),
            text("wnids.txt", f"{TENCH}\n{CRANE}\n")(root),
            text("val/val_annotations.txt", f"val_0.JPEG\t{CRANE}\t0\t0\t9\t9\n")(root),
        ],
    ),
    "ImageNet as published: `ILSVRC2012_img_train.tar`, `ILSVRC2012_img_val.tar` and the devkit": Tree(
        [],
        lambda root: [
            write_tar(root / "ILSVRC2012_img_train.tar", dict(map(class_tar, (TENCH, CRANE)))),
            write_tar(root / "ILSVRC2012_img_val.tar", dict(map(picture, (f"{VAL}1.JPEG", f"{VAL}2.JPEG")))),
            write_devkit(root / "ILSVRC2012_devkit_t12"),
        ],
    ),
    "ImageNet, `train` as one tar file per class": Tree(
        [f"val/{VAL}1.JPEG"],
        lambda root: [
            *(write_tar(root / "train" / f"{code}.tar", dict([picture(f"{code}_1.JPEG")])) for code in (TENCH, CRANE)),
            text("synset_words.txt", MAPPING)(root),
        ],
    ),
    "a folder per class": Tree(["cat/1.jpg", "cat/._1.jpg", "dog/1.jpg", "__MACOSX/cat/1.jpg"]),
    "a folder per class, one of them a link to another disk": Tree(
        ["cat/1.jpg"], link("dog", "disk2"), ["--follow-links"]
    ),
    "Kaggle, `Train` and `Test`": Tree(["Train/cat/1.jpg", "Train/dog/2.jpg", "Test/cat/3.jpg"]),
    "Roboflow, classification": Tree(["train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/3.jpg", "test/dog/4.jpg"]),
    "Roboflow, detection": Tree(["train/images/1.jpg", "valid/images/2.jpg", "test/images/3.jpg"]),
    "VOC, without `--dataset`": Tree(
        ["VOC2012/JPEGImages/1.jpg", "VOC2012/JPEGImages/2.jpg", "VOC2012/SegmentationClass/1.png"],
        lambda root: [
            (root / "VOC2012/ImageSets/Main").mkdir(parents=True),
            text("VOC2012/ImageSets/Main/train.txt", "1\n")(root),
            text("VOC2012/ImageSets/Main/val.txt", "2\n")(root),
        ],
    ),
    "CIFAR-10 as pictures": Tree(["train/airplane/0001.png", "train/truck/0001.png", "test/truck/0001.png"]),
    "CIFAR-100 as pictures": Tree(["train/fish/ray/1.png", "train/flowers/rose/1.png", "test/fish/shark/1.png"]),
    "photographs": Tree(["1.jpg", "2.jpg", "3.jpg"]),
}


def rows_of(pd: Pd, folder: Path, name: str) -> list[str]:
    """Lines of the page's table: those of init's table behind the name of the tree."""
    tree, root = TREES[name], folder / "tree"
    root.mkdir()
    for number, key in enumerate(tree.keys):
        draw(root / key, number)
    tree.write(root)
    result = pd("init", folder / "store", "--images", root, *tree.words)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("split "))
    rows = [line.replace("no class", "no_class").split() for line in lines[start + 2 :]]
    cells = [row for row in rows[: next(n for n, row in enumerate(rows) if row[0] == "blocks")]]
    named = f"{name}: `{' '.join(tree.words)}`" if tree.words else name
    return [
        f"| {'' if number else named} | {split} | {classes.replace('_', ' ')} | {images} | `{key}` |"
        for number, (split, classes, images, key) in enumerate(cells)
    ]


@pytest.mark.parametrize("name", TREES)
def test_the_page_shows_what_a_tree_becomes(name: str, pd: Pd, tmp_path: Path) -> None:
    """The lines of docs/datasets.md on this tree are those that init prints."""
    rows = rows_of(pd, tmp_path, name)
    assert "\n".join(rows) in PAGE.read_text()


def test_cifar_as_published_has_no_pictures(pd: Pd, tmp_path: Path) -> None:
    """The pickles of CIFAR are no image files, and the error says which files are."""
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"pickle")
    result = pd("init", tmp_path / "store", "--images", tmp_path / "cifar-10-batches-py")
    assert result.code == 2 and "there are no images here" in result.err and ".jpeg" in result.err


def test_images_in_tar_files_are_read_by_offset(pd: Pd, tmp_path: Path) -> None:
    """A tar of class tars is the whole source: its images are ingested and shown, and nothing is unpacked."""
    tar = tmp_path / "ILSVRC2012_img_train.tar"
    write_tar(tar, dict(map(class_tar, (TENCH, CRANE))))
    text("labels.txt", f"{TENCH},tench\n{CRANE},crane\n")(tmp_path)
    store = tmp_path / "store"
    assert pd("init", store, "--images", tar).code == 0
    assert pd("--store", store, "stage", "run", "ingest").code == 0
    rows = pd("--store", store, "sql", "SELECT key, split, class_name, mode FROM images ORDER BY key LIMIT 1")
    assert rows.out.splitlines()[2].split() == [f"{TENCH}/{TENCH}_1.JPEG", "train", "tench", "JPEG/RGB"]
    assert pd("--store", store, "show", "0", "--out", tmp_path / "shown.png").code == 0
    assert list(tmp_path.rglob("*.JPEG")) == []
    write_tar(tmp_path / "val" / "ILSVRC2012_img_val.tar", dict([picture(f"{VAL}1.JPEG")]))
    alone = pd("init", tmp_path / "v", "--images", tmp_path / "val" / "ILSVRC2012_img_val.tar")
    assert ["val", "1", "1", f"{VAL}1.JPEG"] in [line.split() for line in alone.out.splitlines()]
