"""Files in the format of PACO: linked parts, all forms of masks, and what is wrong in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdstore import masks
from stages.datasets.paco_json import PacoReader, split_category
from stages.datasets.truth import Truth
from stages.source.images import ImageFault
from tests.stages.datasets.published import (
    HEIGHT,
    PACO_CATEGORIES,
    WIDTH,
    box,
    compressed,
    paco,
    polygon,
    uncompressed,
    write_paco,
)

FILE, KEY = "train2017/000000000001.jpg", "coco/train2017/000000000001.jpg"
CAN, CAR, DOG, MIRROR, HEAD, LEG, LID = PACO_CATEGORIES
BODY, SMALL = compressed(box(2, 2, 10, 8)), [polygon(2, 2, 4, 4)]


def truth_of(path: Path, *annotations: dict[str, Any], **keywords: Any) -> Truth:
    write_paco(path / "a.json", {FILE: annotations})
    truth = PacoReader([path / "a.json"], **keywords).read(KEY, lambda name: b"")
    assert truth is not None
    return truth


def drawn(counts: bytes) -> np.ndarray:
    return masks.decode_one(counts, HEIGHT, WIDTH)


def test_parts_go_to_the_object_that_they_name(tmp_path: Path) -> None:
    """Two dogs keep their own parts, in any order of the file; an object's mask is its own, not that of its parts."""
    truth = truth_of(
        tmp_path,
        paco(7, HEAD, 2, [polygon(20, 12, 3, 3)]),
        paco(1, DOG, 1, compressed(box(0, 0, 8, 8))),
        paco(2, DOG, 2, uncompressed(box(10, 10, 12, 10))),
        paco(3, HEAD, 1, uncompressed(box(0, 0, 3, 3))),
        paco(4, LEG, 1, compressed(box(5, 0, 2, 2))),
        paco(5, CAR, 5, [polygon(0, 24, 6, 6), polygon(8, 24, 2, 2)]),
    )
    found = [(t.name, int(drawn(t.counts).sum()), [p.name for p in t.parts]) for t in truth.objects]
    assert found == [
        ("dog", 64, ["head", "leg"]),
        ("dog", 120, ["head"]),
        ("car (automobile)", 40, []),
    ]
    assert (drawn(truth.objects[0].parts[0].counts) == box(0, 0, 3, 3)).all()
    assert truth.left_out == () and not truth.is_own_class


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (paco(9, HEAD, 77, SMALL), "a part without its object: no usable object of this image has the id 77"),
        (paco(9, HEAD, None, SMALL), "a part without its object: it has no obj_ann_id"),
        (paco(9, HEAD, 9, SMALL), "a part without its object"),
        (paco(9, LID, 1, SMALL), "a part of trash can whose object is dog"),
        (paco(9, 5555, 1, SMALL), "a category that is not listed"),
        (paco(9, HEAD, 1, [[1, 2, 3]]), "a polygon of shape"),
        (paco(9, HEAD, 1, {"size": [3, 3], "counts": [9]}), "a mask of size"),
        (paco(9, HEAD, 1, {"size": [HEIGHT, WIDTH], "counts": "04"}), "expected a mask"),
        (paco(9, HEAD, 1, None), "expected a mask"),
    ],
)
def test_a_wrong_annotation_costs_only_itself(annotation: dict[str, Any], message: str, tmp_path: Path) -> None:
    """The dog and its leg stay; the wrong annotation is named by its id with the reason."""
    truth = truth_of(tmp_path, paco(1, DOG, 1, BODY), paco(2, LEG, 1, SMALL), annotation)
    assert [(t.name, [p.name for p in t.parts]) for t in truth.objects] == [("dog", ["leg"])]
    ((reason, detail),) = truth.left_out
    assert reason == "bad_annotation" and detail.startswith("a.json, annotation 9: expected a mask")
    assert message in detail


def test_crowds_and_repetitions_are_left_out(tmp_path: Path) -> None:
    """A crowd is no object; an annotation that stands twice in the same words is used once; both are reported."""
    crowd, dog = paco(9, DOG, 9, SMALL, iscrowd=1), paco(1, DOG, 1, BODY)
    truth = truth_of(tmp_path, dog, dog, paco(2, LEG, 1, SMALL), crowd)
    assert [(t.name, [p.name for p in t.parts]) for t in truth.objects] == [("dog", ["leg"])]
    assert sorted(reason for reason, _ in truth.left_out) == ["crowd", "repeated"]


def test_an_annotation_id_that_stands_twice_is_used_for_neither(tmp_path: Path) -> None:
    """Which of two dogs a part belongs to cannot be known, so none of the three is a row; the car stays."""
    truth = truth_of(
        tmp_path, paco(1, DOG, 1, BODY), paco(1, DOG, 1, SMALL), paco(2, HEAD, 1, SMALL), paco(3, CAR, 3, BODY)
    )
    assert [thing.name for thing in truth.objects] == ["car (automobile)"]
    assert ["stands more than once" in text for _, text in truth.left_out] == [True, True, False]


def test_a_part_never_goes_to_an_object_of_another_image(tmp_path: Path) -> None:
    """Not within a file, and not across two files that use the same ids."""
    other = "val2017/000000000002.jpg"
    write_paco(tmp_path / "a.json", {FILE: [paco(1, DOG, 1, BODY)], other: [paco(2, HEAD, 1, SMALL)]})
    write_paco(tmp_path / "b.json", {other: [paco(1, DOG, 1, BODY), paco(3, LEG, 1, SMALL)]})
    reader = PacoReader([tmp_path / "a.json", tmp_path / "b.json"])
    first, second = (reader.read(key, lambda name: b"") for key in (FILE, other))
    assert first is not None and [t.parts for t in first.objects] == [()]
    assert second is not None and [[p.name for p in t.parts] for t in second.objects] == [["leg"]]
    assert len(second.left_out) == 1 and "annotation 2" in second.left_out[0][1]


@pytest.mark.parametrize(
    ("parts", "expected", "num_rejected"),
    [
        ([paco(1, DOG, None, BODY), paco(2, HEAD, None, SMALL)], [("dog", 80, ["head"])], 0),
        ([paco(2, HEAD, None, SMALL)], [("dog", 16, ["head"])], 0),
        ([paco(1, DOG, None, BODY), paco(3, DOG, None, BODY), paco(2, HEAD, None, SMALL)], [("dog", 80, [])] * 2, 1),
    ],
    ids=["one object", "no object", "two objects"],
)
def test_parts_without_a_link_go_to_the_only_object(
    parts: list[dict[str, Any]], expected: list[tuple[str, int, list[str]]], num_rejected: int, tmp_path: Path
) -> None:
    """If a data set has no links, a part's object is clear unless there are two; without one it is their union."""
    truth = truth_of(tmp_path, *parts, is_linked=False, is_own_class=True)
    found = [(t.name, int(drawn(t.counts).sum()), [p.name for p in t.parts]) for t in truth.objects]
    assert found == expected and len(truth.left_out) == num_rejected and truth.is_own_class


def test_an_image_in_two_sizes_is_not_guessed(tmp_path: Path) -> None:
    """Two files that disagree about the size of an image make it a row of errors."""
    write_paco(tmp_path / "a.json", {FILE: [paco(1, DOG, 1, BODY)]})
    content = json.loads((tmp_path / "a.json").read_text())
    content["images"][0]["width"] += 1
    (tmp_path / "b.json").write_text(json.dumps(content))
    with pytest.raises(ImageFault, match=r"b.json: the image is listed in two sizes, 32x24 and 33x24 pixels"):
        PacoReader([tmp_path / "a.json", tmp_path / "b.json"]).read(KEY, lambda name: b"")


@pytest.mark.parametrize(("height", "width"), [(0, 32), (24, -1), (100_000, 100_000)])
def test_an_image_of_an_impossible_size_is_a_row_of_errors(height: int, width: int, tmp_path: Path) -> None:
    """It never reaches the library that draws masks, which trusts its input."""
    image = {"id": 10, "file_name": FILE, "height": height, "width": width}
    write_paco(tmp_path / "a.json", {FILE: [paco(1, DOG, 1, SMALL)]}, {"images": [image]})
    with pytest.raises(ImageFault, match=rf"a.json: the image is listed with {width}x{height} pixels"):
        PacoReader([tmp_path / "a.json"]).read(KEY, lambda name: b"")


def test_ids_of_another_kind_are_strays(tmp_path: Path) -> None:
    """A list in the place of an id, or of an object's id, is named and costs only that annotation."""
    lists = [
        paco(2, HEAD, 1, SMALL, id=[2]),
        paco(3, HEAD, 1, SMALL, obj_ann_id={}),
        paco(4, DOG, 4, SMALL, category_id=[5]),
    ]
    write_paco(tmp_path / "a.json", {FILE: [paco(1, DOG, 1, BODY), *lists]})
    reader = PacoReader([tmp_path / "a.json"])
    truth = reader.read(KEY, lambda name: b"")
    assert truth is not None and [(t.name, t.parts) for t in truth.objects] == [("dog", ())]
    assert [stray.subject for stray in reader.strays] == [f"a.json, annotation {n}" for n in ("[2]", "3", "4")]


def test_annotations_of_no_image_are_strays(tmp_path: Path) -> None:
    """An annotation of an image that is not listed, or without an id, belongs to no image and is reported."""
    write_paco(tmp_path / "a.json", {FILE: [paco(1, DOG, 1, BODY), paco(2, DOG, 2, BODY, image_id=99), {"x": 1}]})
    assert [stray.subject for stray in PacoReader([tmp_path / "a.json"]).strays] == [
        "a.json, annotation 2",
        "a.json, annotation 2",
    ]


def test_names_are_words() -> None:
    """Underscores become spaces; what is before the colon is the object."""
    assert split_category("car_(automobile):Side_Mirror") == ("car (automobile)", "side mirror")
    assert split_category("trash_can") == ("trash can", "")
