"""``pd init`` on folders of images, and the requests that it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdstore import Store
from stages.source.listing import Listing
from tests.cli.conftest import Pd, assert_error, committed, draw


def test_init_says_what_it_found_and_what_to_do_next(pd: Pd, photos: Path, pipeline_file: Path, tmp_path: Path) -> None:
    """`pd init` prints images, classes, blocks, nodes and the next command."""
    result = pd("init", tmp_path / "new", "--images", photos, "--preset", pipeline_file, "grouping.k=3")
    assert result.code == 0
    lines = dict(line.split(None, 1) for line in result.out.splitlines() if " " in line)
    assert lines["images"] == "6" and lines["classes"] == "2 (cat, dog)" and lines["blocks"].startswith("3 ")
    assert lines["nodes"] == "ingest, detic, grouping, crf, candidates, ranking"
    assert lines["next"] == f"pd --store {tmp_path / 'new'} run"


def test_init_add_opens_new_blocks(pd: Pd, store: Path, photos: Path) -> None:
    """Images that are added later open new blocks; nothing is added twice."""
    draw(photos / "cat" / "later.png", 3)
    assert "added       1 images" in pd("init", store, "--images", photos, "--add").out
    result = pd("init", store, "--images", photos, "--add")
    assert "added       0 images" in result.out and "blocks      4 " in result.out


def test_a_missing_image_folder(pd: Pd, tmp_path: Path) -> None:
    """The error names the folder, and no store is left behind."""
    result = pd("init", tmp_path / "s", "--images", tmp_path / "nowhere")
    assert_error(result, 2, "there is no such image folder", tmp_path / "nowhere", "--images DIR")
    assert not (tmp_path / "s").exists()


def test_a_file_in_place_of_the_image_folder(pd: Pd, tmp_path: Path) -> None:
    """The error says that the image folder is a file."""
    (tmp_path / "file").write_text("")
    assert_error(pd("init", tmp_path / "s", "--images", tmp_path / "file"), 2, "the image folder is a file")


def test_an_empty_image_folder(pd: Pd, tmp_path: Path) -> None:
    """The error lists the file name endings of images."""
    (tmp_path / "empty").mkdir()
    result = pd("init", tmp_path / "s", "--images", tmp_path / "empty")
    assert_error(result, 2, "there are no images here", tmp_path / "empty", ".jpeg")
    assert not (tmp_path / "s").exists()


def test_an_imagenet_tree_without_labels(pd: Pd, tmp_path: Path) -> None:
    """The error shows what a line of labels.txt looks like."""
    draw(tmp_path / "net" / "train" / "n02958343" / "a.JPEG", 0)
    result = pd("init", tmp_path / "s", "--images", tmp_path / "net")
    assert_error(result, 2, "there is no labels.txt here", tmp_path / "net", "n02958343,car", "--labels")


def test_a_class_folder_that_labels_does_not_name(pd: Pd, tmp_path: Path) -> None:
    """The error names the folder and the line to add."""
    for wnid in ("n02958343", "n01503061"):
        draw(tmp_path / "net" / "train" / wnid / "a.JPEG", 0)
    (tmp_path / "net" / "labels.txt").write_text("n02958343,car\n")
    result = pd("init", tmp_path / "s", "--images", tmp_path / "net")
    assert_error(result, 2, "labels.txt", "no line for the class folders ['n01503061']", "the line 'n01503061,name'")


@pytest.mark.parametrize("key", ["../outside.png", "/etc/outside.png", "cat/../../outside.png"])
def test_a_key_that_leaves_the_image_folder(pd: Pd, photos: Path, tmp_path: Path, key: str) -> None:
    """The error names the key and its line."""
    (tmp_path / "list.txt").write_text(f"cat/0.png\n{key}\n")
    result = pd("init", tmp_path / "s", "--images", photos, "--list", tmp_path / "list.txt")
    assert_error(result, 2, "a key inside the image folder", repr(key), "line 2", "relative to the image folder")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("file", ["list.txt", "classes.txt", "photos/labels.txt", "pipeline.yaml"])
def test_a_text_file_that_is_not_utf8(pd: Pd, photos: Path, tmp_path: Path, file: str) -> None:
    """The error names the file and the line, and no store is left behind."""
    options = {"list.txt": "--list", "classes.txt": "--classes", "pipeline.yaml": "--preset"}
    (tmp_path / file).write_bytes("cat,cat\ndog,Hündchen\n".encode("latin-1"))
    chosen = (options[file], tmp_path / file) if file in options else ()
    result = pd("init", tmp_path / "s", "--images", photos, *chosen)
    place = tmp_path / file
    assert_error(result, 2, f"{place}, line 2", "expected text in UTF-8, found byte 0xfc", "Save the file as UTF-8")
    assert not (tmp_path / "s").exists()


def test_a_list_that_begins_with_a_byte_order_mark(pd: Pd, photos: Path, tmp_path: Path) -> None:
    """The mark is not part of the first key."""
    (tmp_path / "list.txt").write_text("cat/0.png\n", encoding="utf-8-sig")
    assert pd("init", tmp_path / "s", "--images", photos, "--list", tmp_path / "list.txt").code == 0
    assert Listing(Store(str(tmp_path / "s"))).read(0)[0].key == "cat/0.png"


def test_a_store_that_exists(pd: Pd, store: Path, photos: Path) -> None:
    """The error offers another folder and --add; the store stays as it was."""
    before = committed(store)
    result = pd("init", store, "--images", photos)
    assert_error(result, 2, "a store already exists here", store, "--add")
    assert committed(store) == before


def test_an_unknown_preset(pd: Pd, photos: Path, tmp_path: Path) -> None:
    """The error names the nearest one."""
    result = pd("init", tmp_path / "s", "--images", photos, "--preset", "no_weight")
    assert_error(result, 2, "there is no preset 'no_weight'", "Did you mean 'no_weights'?")


def test_new_images_of_a_new_class(pd: Pd, store: Path, photos: Path) -> None:
    """The vocabulary of a store is fixed."""
    before = committed(store)
    draw(photos / "horse" / "0.png", 0)
    assert_error(
        pd("init", store, "--images", photos, "--add"),
        2,
        "these classes are not in the store's vocabulary: ['horse']",
        "Create a new store",
    )
    assert committed(store) == before


def test_add_takes_no_settings(pd: Pd, store: Path, photos: Path) -> None:
    """A preset, a data set or a setting beside --add is refused by name; the store stays as it was."""
    before = committed(store)
    for words, extra in ((["grouping.k=3"], "grouping.k=3"), (["--preset", "demo"], "demo")):
        result = pd("init", store, "--images", photos, "--add", *words)
        assert_error(result, 2, "pd init --add: ", f"found {extra}", "pd config set NODE.KEY=VALUE")
    assert committed(store) == before


def test_a_store_in_the_current_folder_needs_no_name(
    pd: Pd, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next command that init prints works as it stands, without --store."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert pd("init", ".", "--images", photos).out.splitlines()[-1] == "next        pd run"
    assert pd("plan").code == 0


def test_a_table_shows_how_the_folder_was_read(pd: Pd, tmp_path: Path) -> None:
    """One row per split, with the images that have no class apart, and a key to see it by."""
    for number, key in enumerate(("Train/bird/1.png", "Train/bird/2.png", "Train/car/3.png", "Valid/4.png")):
        draw(tmp_path / "net" / "Data" / key, number)
    result = pd("init", tmp_path / "s", "--images", tmp_path / "net")
    rows = [" ".join(line.split()) for line in result.out.splitlines()]
    head = rows.index("split classes images such as")
    assert rows[head + 2 : head + 4] == ["train 2 3 Data/Train/bird/1.png", "val no class 1 Data/Valid/4.png"]
    only = pd("init", tmp_path / "t", "--images", tmp_path / "net", "--split", "train")
    assert "images      3\n" in only.out and "Valid" not in only.out


def test_a_folder_that_can_be_a_split_or_a_class(pd: Pd, tmp_path: Path) -> None:
    """The error shows both readings and the options that choose one of them; the option is kept for --add."""
    for number, name in enumerate(("train", "bus")):
        draw(tmp_path / "net" / name / "1.png", number)
    refused = pd("init", tmp_path / "s", "--images", tmp_path / "net")
    assert_error(refused, 2, "as the split 'train'", "a class named 'train'", "--read-as splits or --read-as classes")
    assert "2 (bus, train)" in pd("init", tmp_path / "s", "--images", tmp_path / "net", "--read-as", "classes").out
    draw(tmp_path / "net" / "train" / "2.png", 2)
    assert "added       1 images" in pd("init", tmp_path / "s", "--images", tmp_path / "net", "--add").out


def test_a_key_with_escape_sequences_is_shown_in_ascii(pd: Pd, tmp_path: Path) -> None:
    """A file name cannot write to the terminal of who looks at it."""
    draw(tmp_path / "net" / "\x1b[31m.png", 0)
    result = pd("init", tmp_path / "s", "--images", tmp_path / "net")
    assert "\x1b" not in result.out and r"\x1b[31m.png" in result.out
