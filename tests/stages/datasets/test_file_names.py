from __future__ import annotations

import pytest

from stages.datasets.file_names import Matches, clean, match_names
from stages.source.listing import Listed


def matched(names: list[str], keys: list[str], root: str = "/data/in", split: str = "train") -> Matches:
    return match_names(names, [Listed(i, key, split, "") for i, key in enumerate(keys)], root)


KEYS = ["cat/a.jpg", "cat/b.jpg", "dog/b.jpg", "dog/c.JPG", "cat/\u00e9.jpg"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("cat/a.jpg", "cat/a.jpg"),
        ("./cat//a.jpg", "cat/a.jpg"),
        ("cat\\a.jpg", "cat/a.jpg"),
        ("C:\\Users\\me\\in\\cat\\a.jpg", "cat/a.jpg"),
        ("/home/me/pictures/cat/a.jpg", "cat/a.jpg"),
        ("https://host/bucket/cat/a.jpg?token=1#x", "cat/a.jpg"),
        ("s3://bucket/x/cat/%C3%A9.jpg", "cat/\u00e9.jpg"),
        ("in/cat/a.jpg", "cat/a.jpg"),
        ("images/cat/a.jpg", "cat/a.jpg"),
        ("train/images/cat/a.jpg", "cat/a.jpg"),
        ("dog/c.jpg", "dog/c.JPG"),
        ("cat/e\u0301.jpg", "cat/\u00e9.jpg"),
        ("a.jpg", "cat/a.jpg"),
    ],
)
def test_spellings_of_a_path_mean_its_image(name: str, key: str) -> None:
    """Prefixes, separators, the case of the extension and the composition of letters do not matter."""
    assert matched([name], KEYS) == Matches({key: (name,)})


@pytest.mark.parametrize("name", ["bird/a.jpg", "cat/A.jpg", "Cat/a.jpg", "val/cat/a.jpg", "other/cat/a.jpg", "aa.jpg"])
def test_another_image_is_not_taken_for_one_of_the_store(name: str) -> None:
    """Another folder, another case of the name, another split, and a name that merely ends alike."""
    assert matched([name], KEYS) == Matches({})


def test_the_split_of_the_folder_counts() -> None:
    """A file of the training images never labels a store that was made from the folder of validation images."""
    assert matched(["train/cat/a.jpg"], KEYS, root="/data/val").names == {}
    assert matched(["/x/valid/images/cat/a.jpg"], KEYS, root="/data/val").names.keys() == {"cat/a.jpg"}
    assert matched(["dog/1.jpg"], ["1.jpg"], root="/data/cat").names == {}
    assert matched(["cat/1.jpg"], ["1.jpg"], root="/data/cat").names == {"1.jpg": ("cat/1.jpg",)}


def test_what_fits_several_images_fits_none() -> None:
    """The reason names them. Two paths that fit one image are not used either, unless one of them is its key."""
    found = matched(["b.jpg"], KEYS)
    assert found.names == {} and found.unclear == {"b.jpg": "it fits several images: cat/b.jpg, dog/b.jpg"}
    found = matched(["/x/cat/1.jpg", "/x/dog/1.jpg"], ["1.jpg"])
    assert found.names == {} and found.unclear.keys() == {"/x/cat/1.jpg", "/x/dog/1.jpg"}
    found = matched(["cat/a.jpg", "/x/cat/a.jpg"], KEYS)
    assert found.names == {"cat/a.jpg": ("cat/a.jpg",)} and found.unclear.keys() == {"/x/cat/a.jpg"}


def test_two_spellings_of_one_path_are_one_image() -> None:
    """Merged files often have both; their annotations add up."""
    assert matched(["cat/a.jpg", "./cat/a.jpg"], KEYS).names == {"cat/a.jpg": ("cat/a.jpg", "./cat/a.jpg")}


def test_a_path_is_clean_without_what_a_computer_adds() -> None:
    """Going up is resolved; a path that is clean stays."""
    assert clean("..\\x\\../cat/./a b.jpg") == "cat/a b.jpg" == clean(clean("cat/a b.jpg"))
