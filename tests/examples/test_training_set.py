from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pdstore import Position, SampleOrder, Store
from pdstore.errors import InputMissing, UsageError
from schemas.catalog import catalog_of
from stages.plan.project import Project

WHERE = "m.object_ratio > 0.4 AND i.class_name = 'cats'"


@pytest.fixture
def module(example: Callable[[str], ModuleType]) -> ModuleType:
    return example("training_set")


@pytest.fixture
def project(made: Path) -> Project:
    return Project.open(Store(str(made)))


def batches(module: ModuleType, source: Any, batch_size: int, **options: Any) -> list[Any]:
    order = SampleOrder(source.block_of_row, batch_size, seed=3)
    return list(module.MaskSet(source, order, **options))


def test_samples_are_the_masks_that_the_condition_chooses(module: ModuleType, project: Project, photos: Path) -> None:
    """One epoch brings every chosen image once, as it is on disk, with just the masks that meet the condition."""
    source = module.open_source(project, "crf", WHERE)
    expected = catalog_of(project.store).query(
        f"SELECT i.key, m.part_id, m.area FROM parts m JOIN images i USING (image_id) WHERE m.node = 'crf' AND {WHERE}"
    )
    wanted: dict[bytes, list[tuple[int, int]]] = {}
    for row in expected.to_pylist():
        pixels = np.asarray(Image.open(photos / row["key"]))
        wanted.setdefault(pixels.tobytes(), []).append((row["part_id"], row["area"]))
    samples = [sample for batch in batches(module, source, 1) for sample in batch]
    found = {
        image.permute(1, 2, 0).numpy().tobytes(): [
            (int(label), int(mask.sum())) for mask, label in zip(masks, labels, strict=True)
        ]
        for image, masks, labels in samples
    }
    assert len(samples) == len(source) == len(wanted) > 1
    assert {key: sorted(parts) for key, parts in found.items()} == {key: sorted(p) for key, p in wanted.items()}


def test_types_are_those_of_torch(module: ModuleType, project: Project) -> None:
    """An image is (3, H, W) uint8, masks are (N, H, W) bool and labels (N,) int64."""
    (image, masks, labels), *_ = batches(module, module.open_source(project, "crf", "true"), 4)[0]
    assert image.dtype == torch.uint8 and masks.dtype == torch.bool and labels.dtype == torch.int64
    assert image.shape[1:] == masks.shape[1:] and image.shape[0] == 3 and len(masks) == len(labels) > 0


def test_an_epoch_resumes_where_it_stopped(module: ModuleType, project: Project) -> None:
    """From batch 1 on come the batches that would have come; two ranks together see the batches of one."""
    source = module.open_source(project, "crf", "true")
    whole = batches(module, source, 2)
    rest = batches(module, source, 2, start=Position(0, 1))
    ranks = [batches(module, source, 2, rank=rank, ranks=2) for rank in (0, 1)]
    assert len(whole) == 4 and len(rest) == 3
    for one, other in [*zip(whole[1:], rest, strict=True), *zip(whole, map(sum_lists, *ranks), strict=True)]:
        assert all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


def sum_lists(one: list[Any], other: list[Any]) -> list[Any]:
    return one + other


def test_the_choice_is_frozen_in_the_store(module: ModuleType, project: Project, made: Path) -> None:
    """A condition leaves one selection, whatever the number of runs; another condition has its own."""
    before = set((made / "selections").glob("*.arrow"))
    for where in ("m.area > 100", "m.area > 100", "m.area > 101"):
        module.open_source(project, "crf", where)
    assert len(set((made / "selections").glob("*.arrow")) - before) == 2


def test_the_command_prints_an_epoch(
    module: ModuleType, made: Path, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script says how many images there are, and one line per batch."""
    assert module.main([str(made), "--node", "detic", "--batch-size", "3"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "8 images, 3 batches of 3"
    assert printed[1:] == [f"batch {number}: 3 images with 3 masks" for number in range(3)]


@pytest.mark.parametrize(("where", "error"), [("m.area < 0", InputMissing), ("m.nonsense > 0", UsageError)])
def test_a_condition_without_images_is_an_error(
    module: ModuleType, project: Project, where: str, error: type[Exception]
) -> None:
    """A condition that chooses nothing, or is not SQL, is said to be so and freezes nothing."""
    with pytest.raises(error):
        module.open_source(project, "crf", where)
