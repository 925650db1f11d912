from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pdstore import Catalog, Store, layout, masks
from pdstore.errors import CorruptData, InputMissing
from pdstore.files import Files
from pdstore.selection import Selection
from schemas.tables import TABLES
from schemas.training import TrainSettings
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.train.node import part_choice
from stages.train.source import Choice, StoreSource, select
from stages.unit import Unit

TRAINING = "distill-train"


def unit_of(store: Store) -> Unit:
    project = Project.open(store)
    return Unit(TRAINING, 0, Files(project.source.root), Inputs(project, TRAINING).layers)


def choice_of(**settings: float) -> Choice:
    return part_choice("labels", TrainSettings(**settings), labelled=True)


def choose(store: Store, name: str = "test", split: str = "train", **settings: float) -> Selection:
    return select(unit_of(store), TrainSettings(), split, choice_of(**settings), name)


def test_a_selection_is_what_sql_says(copy_store: Callable[..., Store]) -> None:
    """The images of the split with a mask that is large enough and has a high enough score, in rising order."""
    store = copy_store()
    sql = (
        "SELECT DISTINCT image_id FROM labels JOIN images USING (image_id) WHERE split = 'train' "
        "AND labels.node = 'labels' AND area / (labels.height * labels.width) >= 0.1 ORDER BY 1"
    )
    expected = Catalog(store, TABLES.values(), store.current()).query(sql).column(0).to_pylist()
    selection = choose(store, min_part_ratio=0.1)
    assert len(selection) > 0 and selection.image_ids.tolist() == expected
    assert selection.block_of_row.tolist() == [i // 8 for i in expected]


def test_samples_are_what_the_tables_say(copy_store: Callable[..., Store]) -> None:
    """The pixels, masks, labels and object class of a sample are those of its rows."""
    store = copy_store()
    selection = choose(store)
    source = StoreSource(unit_of(store), selection, choice_of(), window=2)
    labels, images = (store.layer(n, store.current()[n]) for n in ("labels", "ingest"))
    for decode in source.read(np.arange(len(source))[::-1]):
        sample = decode()
        block = sample.image_id // 8
        image_rows, label_rows = images.read(block), labels.read(block)
        label_rows = label_rows.take(label_rows["image_id"] == sample.image_id)
        row = image_rows["image_id"].tolist().index(sample.image_id)
        assert sample.object_class == image_rows["class_id"][row]
        assert sample.image.shape == (image_rows["height"][row], image_rows["width"][row], 3)
        assert sample.labels.tolist() == label_rows["cluster"].tolist()
        assert (sample.masks == masks.decode(label_rows.ragged("rle"), *sample.image.shape[:2])).all()


def test_masks_of_two_nodes_are_on_different_objects(copy_store: Callable[..., Store]) -> None:
    """Both number their objects from 0; the masks of one node's object stay together."""
    store = copy_store()
    project = Project.open(store)
    unit = Unit("proposal-train", 0, Files(project.source.root), Inputs(project, "proposal-train").layers)
    choice = part_choice("parts", TrainSettings(), labelled=False)
    source = StoreSource(unit, select(unit, TrainSettings(), "train", choice, "both"), choice, window=2)
    rows = [layer.read(block) for layer in unit.layers["parts"] for block in layer.units()]
    expected: dict[int, list[int]] = {}
    for part in rows:
        for image_id, index in part.by("image_id").items():
            expected.setdefault(image_id, []).extend(len(own) for own in part.take(index).by("object_id").values())
    seen_several = False
    for decode in source.read(np.arange(len(source))):
        sample = decode()
        assert sample.objects is not None
        sizes = np.unique(sample.objects, return_counts=True)[1].tolist()
        assert sorted(sizes) == sorted(expected[sample.image_id])
        seen_several |= len(sizes) > 1
    assert seen_several


def test_small_masks_are_not_targets(copy_store: Callable[..., Store]) -> None:
    """The condition of the selection holds for every mask of a sample, not only for one of them."""
    store = copy_store()
    rows = list(store.layer("labels", store.current()["labels"]).scan())
    shares = [r["area"] / (r["height"] * r["width"]) for r in rows]
    ratio = float(np.median(np.concatenate(shares)))
    choice, selection = choice_of(min_part_ratio=ratio), choose(store, min_part_ratio=ratio)
    source = StoreSource(unit_of(store), selection, choice, window=2)
    samples = [decode() for decode in source.read(np.arange(len(source)))]
    expected = sum(
        int((share >= ratio)[np.isin(r["image_id"], selection.image_ids)].sum())
        for r, share in zip(rows, shares, strict=True)
    )
    assert sum(len(sample.labels) for sample in samples) == expected > 0
    assert all(len(sample.labels) for sample in samples)


def test_memory_is_bounded_by_the_window(copy_store: Callable[..., Store]) -> None:
    """At most two windows of blocks are in memory, whatever the order of reading."""
    store = copy_store()
    source = StoreSource(unit_of(store), choose(store), choice_of(), window=1)
    blocks = set(source.block_of_row.tolist())
    assert len(blocks) > 2
    for row in np.random.default_rng(0).integers(0, len(source), 40):
        source.read(np.array([row]))
        assert len(source._blocks) <= 2


def test_a_selection_is_frozen(copy_store: Callable[..., Store]) -> None:
    """Blocks that are committed later do not change what a training sees that has already begun."""
    store = copy_store()
    store.layer("labels", store.current()["labels"]).withdraw(0)
    before = choose(store).image_ids.tolist()
    assert before and min(before) >= 8
    project = Project.open(store)
    from stages.run.runner import run_node

    run_node(project, "labels")
    assert choose(store).image_ids.tolist() == before
    assert min(choose(store, name="later").image_ids.tolist()) < 8


def test_nothing_to_train_on_is_refused(copy_store: Callable[..., Store]) -> None:
    """If no image has such a mask, the error names the split and the condition, and no selection is kept."""
    store = copy_store()
    with pytest.raises(InputMissing, match=r"the split 'train' has no images to train on: none .*0.999"):
        choose(store, name="empty", min_part_ratio=0.999, min_object_ratio=0.9)
    assert not store.files.exists(layout.selection("empty"))


def test_a_missing_image_stops_the_training(copy_store: Callable[..., Store], tmp_path: Path) -> None:
    """A training must see the images that were ingested: a missing file is CorruptData with its key."""
    store = copy_store()
    unit = unit_of(store)
    unit.images = Files(str(tmp_path / "nowhere"))
    source = StoreSource(unit, choose(store), choice_of(), window=1)
    with pytest.raises(CorruptData, match=r"\.JPEG: the image is no longer as it was ingested: missing"):
        source.read(np.array([0]))[0]()


def test_a_sample_is_no_larger_than_the_training_needs(copy_store: Callable[..., Store]) -> None:
    """Picture and masks are brought to the same frame; masks are those of the rows, scaled."""
    store = copy_store()
    selection = choose(store)
    whole, small = (StoreSource(unit_of(store), selection, choice_of(), 2, longest) for longest in (0, 40))
    for before, after in zip(*(source.read(np.arange(5)) for source in (whole, small)), strict=True):
        sample, scaled = before(), after()
        assert (
            max(scaled.image.shape) == 40 < max(sample.image.shape) and scaled.masks.shape[1:] == scaled.image.shape[:2]
        )
        for mask, expected in zip(scaled.masks, sample.masks, strict=True):
            assert np.array_equal(mask, masks.resize_nearest(expected, *scaled.image.shape[:2]))
