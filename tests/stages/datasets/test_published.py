from __future__ import annotations

from pathlib import Path

import pytest

from pdstore.errors import UsageError
from schemas.pipeline import PipelineSpec, SourceSpec
from stages.create.store import create_store
from stages.datasets.published import NAMES, dataset_images, with_truth
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.source.listing import Listing
from tests.stages.datasets.published import photograph, polygon, write_coco

DOG, CAR = "n02085620", "n02701002"
SQUARE = [polygon(0, 0, 4, 4)]


@pytest.fixture
def part_imagenet(tmp_path: Path) -> Path:
    """Three splits: two dogs and a car for training, one dog, and one car."""
    root = tmp_path / "PartImageNet"
    for split, names in {
        "train": [f"{DOG}_1", f"{DOG}_2", f"{CAR}_1"],
        "val": [f"{DOG}_3"],
        "test": [f"{CAR}_2"],
    }.items():
        write_coco(root / f"{split}.json", {f"{n}.JPEG": [(0 if DOG in n else 2, SQUARE)] for n in names})
        for name in names:
            photograph(root / split / name.split("_")[0] / f"{name}.JPEG")
    return root


def test_every_benchmark_of_the_issue_has_its_name() -> None:
    """A name is a data set and a split; valtest is two splits; the bare name is every split with labels."""
    assert set(NAMES) == {
        *(f"part_imagenet{split}" for split in ("", "_train", "_val", "_test", "_valtest")),
        *(f"pascal_part{split}" for split in ("", "_train", "_val")),
        *(f"cityscapes_part{split}" for split in ("", "_train", "_val")),
        *(f"part_imagenet_pp{split}" for split in ("", "_train", "_val", "_test")),
        *(f"paco_lvis{split}" for split in ("", "_train", "_val", "_test")),
    }


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("part_imagenet_train", ["train"] * 3),
        ("part_imagenet_val", ["val"]),
        ("part_imagenet_test", ["test"]),
        ("part_imagenet_valtest", ["val", "test"]),
        ("part_imagenet", ["train"] * 3 + ["val", "test"]),
    ],
)
def test_a_name_lists_its_splits(name: str, splits: list[str], part_imagenet: Path) -> None:
    """Every image comes with its split."""
    images = list(dataset_images(name, part_imagenet))
    assert [split for _, split, _ in images] == splits
    assert all(key.startswith(f"{split}/{code}/") for key, split, code in images)


def test_an_unknown_name_is_refused_with_a_suggestion(part_imagenet: Path) -> None:
    """The error for a mistyped data set suggests the nearest name."""
    with pytest.raises(UsageError, match=r"there is no data set 'part_imagenet_vall'. Did you mean"):
        list(dataset_images("part_imagenet_vall", part_imagenet))


def test_ground_truth_nodes_are_set_and_keep_the_rest(part_imagenet: Path) -> None:
    """Format and files come from the data set; percent and an explicit merge_parts stay; other nodes do not change."""
    truth = {"stage": "annotated-parts", "inputs": {"images": "ingest"}, "settings": {"file": "x.json"}}
    few = {**truth, "settings": {"file": "x.json", "percent": 10, "merge_parts": False}}
    spec = PipelineSpec.parse({"nodes": {"ingest": {}, "truth": truth, "few": few}}, "pipeline")
    nodes = with_truth(spec, "part_imagenet_valtest", part_imagenet).nodes
    files = {"format": "part_imagenet", "file": ["{images}/val.json", "{images}/test.json"]}
    assert nodes["truth"].settings == {"merge_parts": True, **files}
    assert nodes["few"].settings == {"percent": 10, "merge_parts": False, **files}
    assert nodes["ingest"] == spec.nodes["ingest"]


def test_a_store_has_the_vocabulary_and_the_files_of_its_data_set(part_imagenet: Path, tmp_path: Path) -> None:
    """Classes are WordNet codes named by super-category; the content of every JSON is part of the fingerprint."""
    source = SourceSpec(kind="dataset", root=str(part_imagenet), dataset="part_imagenet_valtest")
    store = create_store(str(tmp_path / "store"), source, read_preset("ground_truth"))
    assert [(c.class_id, c.wnid, c.name) for c in Listing(store).classes()] == [(0, DOG, "quadruped"), (1, CAR, "car")]
    nodes = Project.open(store)
    assert [path.name for path in nodes["truth-parts"].files.values()] == ["val.json", "test.json"]
    before = nodes.pipeline.current()
    (part_imagenet / "test.json").write_text((part_imagenet / "test.json").read_text() + " ")
    after = Project.open(store).pipeline.current()
    assert {name for name in before if before[name] != after[name]} == {"truth-objects", "truth-parts"}


def test_a_list_of_codes_selects_classes(part_imagenet: Path, tmp_path: Path) -> None:
    """Only images and classes with these codes are listed; text after a code and comments are ignored."""
    (tmp_path / "codes.txt").write_text(f"# cars\n\n{CAR}\tcar\nn00000001\n")
    source = SourceSpec(
        kind="dataset", root=str(part_imagenet), dataset="part_imagenet", class_file=str(tmp_path / "codes.txt")
    )
    store = create_store(str(tmp_path / "store"), source, read_preset("ground_truth"))
    assert {image.wnid for image in Listing(store).read(0)} == {CAR} and Listing(store).images == 2
    assert [c.wnid for c in Listing(store).classes()] == [CAR]


def test_a_list_of_codes_selects_classes_of_any_folder(tmp_path: Path) -> None:
    """An ImageNet tree is reduced to the classes too; a list that is missing or fits nothing is an error."""
    for code in (DOG, CAR):
        photograph(tmp_path / f"imagenet/train/{code}/{code}_1.JPEG")
    (tmp_path / "imagenet/labels.txt").write_text(f"{DOG},dog\n{CAR},car\n")
    codes = tmp_path / "codes.txt"
    source = SourceSpec(root=str(tmp_path / "imagenet"), class_file=str(codes))
    with pytest.raises(UsageError, match=r"codes.txt: there is no such file of classes"):
        create_store(str(tmp_path / "store"), source, read_preset("ground_truth"))
    codes.write_text("n00000001\n")
    with pytest.raises(UsageError, match=r"there are no images here. .*only images of the classes in .*codes.txt"):
        create_store(str(tmp_path / "store"), source, read_preset("ground_truth"))
    codes.write_text(f"{DOG}\n")
    store = create_store(str(tmp_path / "store"), source, read_preset("ground_truth"))
    assert [c.name for c in Listing(store).classes()] == ["dog"] and Listing(store).images == 1
