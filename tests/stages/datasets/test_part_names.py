from __future__ import annotations

import pytest

from stages.datasets.part_names import class_names, split_name, vocabulary_of
from stages.source.listing import ImageClass

VOCABULARY = vocabulary_of(["cat", "Polar Bear", "fire-truck", "cat fish", "car", "car mirror"])


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        (None, "Cat Head", ("cat", "head")),
        ("none", "Polar_bear head", ("polar bear", "head")),
        ("root", "polar-bear-left_ear", ("polar bear", "left_ear")),
        ("animal", "Cat Head", ("cat", "head")),
        ("animal", "Dog Head", ("animal", "dog head")),
        ("Cat", "Head", ("cat", "head")),
        ("Fire_Truck", "Fire truck Ladder", ("fire-truck", "ladder")),
        ("polar bear", "ear", ("polar bear", "ear")),
        ("none", "cat fish fin", ("cat fish", "fin")),
        ("car", "Car Mirror", ("car", "mirror")),
        ("Wagon", "Wheel", ("wagon", "wheel")),
        ("none", "Dog_tail", ("dog", "tail")),
        ("", "T-shirt collar", ("t-shirt", "collar")),
        ("None", "cat", ("cat", "cat")),
        ("none", "Head", ("", "head")),
    ],
)
def test_object_and_part(owner: str | None, name: str, expected: tuple[str, str]) -> None:
    """The longest class name wins over a group; a super-category that names nothing is not an object."""
    assert split_name({"name": name, "supercategory": owner}, VOCABULARY) == expected


def test_without_a_vocabulary_the_super_category_is_the_object() -> None:
    """As in PartImageNet, whose super-categories need not be classes of the store."""
    assert split_name({"name": "Car Side Mirror", "supercategory": "Car"}) == ("car", "side mirror")
    assert split_name({"name": "Car Side Mirror"}) == ("car", "side mirror")


def test_classes_of_one_name_are_also_known_by_their_ids() -> None:
    """As exports call them; the name alone stays a name."""
    classes = [ImageClass(0, "n1", "crane"), ImageClass(1, "n2", "crane"), ImageClass(2, "n3", "cat")]
    names = {name: c.class_id for name, c in class_names(classes).items()}
    assert names == {"crane": 1, "cat": 2, "crane (n1)": 0, "crane (n2)": 1}
    category = {"name": "crane (n1) 3", "supercategory": "crane (n1)"}
    assert split_name(category, vocabulary_of(names)) == ("crane (n1)", "3")
