"""Which split and class a folder means, read from the shape of the whole tree."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pdstore.errors import UsageError
from stages.create.shape import Place, arrange, split_of

CAT, DOG = "n02121808", "n02084071"
TREES = {
    "the root alone": {"": ("train", "")},
    "one folder per class": {"cat": ("train", "cat"), "dog": ("train", "dog"), "": ("train", "")},
    "a wrapped archive": {"photos/cat": ("train", "cat"), "photos/dog": ("train", "dog")},
    "ImageNet with a flat val": {f"train/{CAT}": ("train", CAT), f"train/{DOG}": ("train", DOG), "val": ("val", "")},
    "ImageNet as Kaggle packs it": {
        f"ILSVRC/Data/CLS-LOC/train/{CAT}": ("train", CAT),
        "ILSVRC/Data/CLS-LOC/val": ("val", ""),
        "ILSVRC/Data/CLS-LOC/test": ("test", ""),
    },
    "tiny-imagenet": {f"train/{CAT}/images": ("train", CAT), "val/images": ("val", ""), "test/images": ("test", "")},
    "images in each class": {f"{CAT}/images": ("train", CAT), f"{DOG}/images": ("train", DOG)},
    "codes beside a flat val": {CAT: ("train", CAT), DOG: ("train", DOG), "val": ("val", "")},
    "a hierarchy of codes": {f"{DOG}/{CAT}": ("train", CAT), DOG: ("train", DOG)},
    "other spellings": {"Train/cat": ("train", "cat"), "VALID/cat": ("val", "cat"), "Testing/cat": ("test", "cat")},
    "sets": {"training_set/training_set/cat": ("train", "cat"), "test_set/test_set/cat": ("test", "cat")},
    "train among classes": {"train": ("train", "train"), "bus": ("train", "bus"), "car": ("train", "car")},
    "train in a split": {"train/train": ("train", "train"), "train/bus": ("train", "bus"), "val/bus": ("val", "bus")},
    "train among nested classes": {
        "train/images": ("train", "train"),
        "bus/images": ("train", "bus"),
        "car/images": ("train", "car"),
    },
    "Roboflow": {"train/images": ("train", ""), "valid/images": ("val", ""), "test/images": ("test", "")},
    "YOLO": {"images/train": ("train", ""), "images/val": ("val", "")},
    "VOC": {"V/JPEGImages": ("train", ""), "V/SegmentationClass": None, "V/SegmentationObject": None},
    "masks beside images": {"train/images": ("train", ""), "train/masks": None, "val/images": ("val", "")},
    "masks as a class": {"masks": ("train", "masks"), "faces": ("train", "faces")},
    "splits in each class": {"cat/train": ("train", "cat"), "cat/test": ("test", "cat"), "dog/train": ("train", "dog")},
    "super-classes": {"train/fish/ray": ("train", "fish"), "test/fish/ray": ("test", "fish")},
    "more in a class": {"cat": ("train", "cat"), "cat/more": ("train", "cat"), "dog": ("train", "dog")},
    "a holdout beside classes": {"cats": ("train", "cats"), "val/dogs": ("val", "dogs")},
    "unknown test classes": {f"train/{CAT}": ("train", CAT), "test/unknown": ("test", "")},
    "beside the splits": {"train/cat": ("train", "cat"), "val/cat": ("val", "cat"), "later": ("", "later")},
}


@pytest.mark.parametrize("name", TREES)
def test_a_tree_is_read_as_a_person_would(name: str) -> None:
    """Each folder of each tree has the split and the class that one sees in it."""
    tree = TREES[name]
    assert arrange(tree) == {folder: place and Place(*place) for folder, place in tree.items()}


@pytest.mark.parametrize(
    ("folders", "first", "second"),
    [
        (["train", "bus"], "as the split 'train', with bus beside it", "as a class named 'train', like bus"),
        (["train", "test", "bus", "car"], "as the split 'test'", "as a class named 'test'"),
        (["val", "bus", "car"], "as the split 'val'", "as a class named 'val'"),
        (["fish/ray", "birds/owl"], "as class 'birds'", "or class 'owl'"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(folders: list[str], first: str, second: str) -> None:
    """The error shows both readings."""
    with pytest.raises(UsageError) as error:
        arrange(folders, where="/data")
    assert first in str(error.value) and second in str(error.value) and str(error.value).startswith("/data: ")


def test_the_reader_can_say_what_it_is() -> None:
    """``reading`` decides what the shape does not."""
    assert arrange(["train", "bus"], "classes")["train"] == Place("train", "train")
    assert arrange(["val", "bus"], "splits") == {"val": Place("val", ""), "bus": Place("train", "bus")}


def test_names_of_splits() -> None:
    """Splits are known in any spelling; words that only contain one are not splits."""
    spelled = ("Train", "TRAINING", "train2017", "train_images", "trainset", "ILSVRC2012_img_train")
    assert {split_of(name) for name in spelled} == {"train"}
    assert {split_of(name) for name in ("val", "Valid", "validation", "val_256")} == {"val"}
    assert {split_of(name) for name in ("test", "TESTING", "test_set")} == {"test"}
    assert {split_of(name) for name in ("trains", "toy train", "contest", "trainval", "n01440764", "")} == {""}


names = st.sampled_from(["cat", "dog", "bus", "A b", "n", "9"])
spellings = st.sampled_from(
    [("train", "val"), ("Train", "Valid"), ("TRAINING", "Validation"), ("train_images", "val2")]
)
wrappings = st.lists(st.sampled_from(["Data", "CLS-LOC", "archive", "x"]), max_size=3)


@given(st.sets(names, min_size=1), st.sets(names), spellings, wrappings, st.booleans())
def test_wrapping_and_spelling_change_nothing(
    train: set[str], val: set[str], spelled: tuple[str, str], wrapping: list[str], has_images: bool
) -> None:
    """However deep the splits lie, however they are spelled, and with images/ in each class: the same places."""
    inner = "/images" if has_images else ""
    folders = {
        "/".join([*wrapping, spelled[n], name]) + inner: (("train", "val")[n], name)
        for n, found in enumerate((train, val))
        for name in found
    }
    assert arrange(folders) == folders


@given(st.sets(names | st.sampled_from(["train", "test"]), min_size=2), wrappings)
def test_an_order_does_not_matter(classes: set[str], wrapping: list[str]) -> None:
    """The same folders in another order are read in the same way, or refused in the same words."""
    folders = ["/".join([*wrapping, name]) for name in sorted(classes)]

    def read(order: list[str]) -> object:
        try:
            return arrange(order)
        except UsageError as error:
            return str(error)

    assert read(folders) == read(folders[::-1])


@given(st.sets(names, min_size=3))
def test_a_class_named_train_is_a_class(classes: set[str]) -> None:
    """Among many class folders, ``train`` is one more."""
    assume("train" not in classes)
    assert {place and place.code for place in arrange([*classes, "train"]).values()} == classes | {"train"}
