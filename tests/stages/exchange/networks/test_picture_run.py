"""Pictures without a store get the masks that a store has of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore import Rows, Store
from pdstore.errors import UsageError
from schemas.training import NetworkSettings
from stages.exchange.networks.picture_list import PictureFile
from stages.exchange.networks.picture_run import Answer, PictureRun
from stages.exchange.networks.trained_model import model_of_node
from stages.models.network import build
from stages.models.part_model import PartModel, unnamed_classes
from stages.plan.project import Project

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)


def rows_of(store: Store, node: str) -> dict[str, dict[int, Rows]]:
    """Key of each image of the first block -> its rows."""
    project = Project.open(store)
    images, rows = project.shown("ingest").read(0), project.shown(node).read(0)
    found = rows.by("image_id")
    pairs = zip(images["key"].tolist(), images["image_id"].tolist(), images["class_id"].tolist(), strict=True)
    return {key: {number: rows.take(found.get(i, []))} for key, i, number in pairs}


def answers(run: PictureRun, files: list[PictureFile], slots: list[int]) -> list[Answer]:
    return sorted(run.answers(files, slots), key=lambda one: one.number)


def test_parts_are_those_of_the_node(finished: Store) -> None:
    """Masks, parts and scores are the rows of the node ``distill``, with its CRF and its flip."""
    project, rows = Project.open(finished), rows_of(finished, "distill")
    files = [PictureFile(Path(project.source.root) / key, key) for key in rows]
    slots = [number for of_class in rows.values() for number in of_class]
    found = answers(PictureRun(model_of_node(project, "distill"), {}), files, slots)
    assert project["distill"].settings.crf is not None and project["distill"].settings.flip
    parts = project["distill-train"].settings.parts_per_class
    assert len(found) == 8 and sum(len(one.rle) for one in found) > 8
    for one, of_class in zip(found, rows.values(), strict=True):
        ((number, expected),) = of_class.items()
        assert (one.labels - parts * number).tolist() == expected["cluster"].tolist()
        assert one.rle == expected.ragged("rle")
        np.testing.assert_allclose(one.scores, expected["score"], atol=1e-5)


def test_proposals_are_those_of_the_node(finished: Store) -> None:
    """Masks and scores are the rows of the node ``proposals``, best first; a setting may be another."""
    project, rows = Project.open(finished), rows_of(finished, "proposals")
    files = [PictureFile(Path(project.source.root) / key, key) for key in rows]
    model = model_of_node(project, "proposals")
    for one, of_class in zip(answers(PictureRun(model, {}), files, []), rows.values(), strict=True):
        (expected,) = of_class.values()
        best = np.argsort(-expected["score"], kind="stable")
        expected = expected.take(best)
        assert list(one.rle) == list(expected.ragged("rle")) and set(one.labels.tolist()) <= {0}
        np.testing.assert_allclose(one.scores, expected["score"], atol=1e-5)
    assert all(len(one.rle) == 1 for one in PictureRun(model, {"max_proposals": 1}).answers(files, []))


def test_masks_have_the_pixels_of_the_picture(tmp_path: Path) -> None:
    """Of a picture of any size, turned by its EXIF orientation; shapes are batched, and every picture is answered."""
    rng = np.random.default_rng(0)
    files = []
    for number, (height, width) in enumerate([(900, 700), (40, 60), (900, 700), (64, 64)]):
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / f"{number}.jpg", exif=exif)
        files.append(PictureFile(tmp_path / f"{number}.jpg", f"{number}.jpg"))
    model = PartModel(build(SMALL, 2, 3).eval(), "here", unnamed_classes(3), settings={"long_side": 64})
    run = PictureRun(model, {"threshold": 0.0, "batch_size": 2})
    found = answers(run, files, [0, 2, 1, 0])
    assert [one.size for one in found] == [(700, 900), (60, 40), (700, 900), (64, 64)] and not run.left_out
    for one, slot in zip(found, [0, 2, 1, 0], strict=True):
        assert set(one.labels.tolist()) <= {2 * slot, 2 * slot + 1} and len(one.labels)


def test_pictures_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    """With the reason; the others have their answers."""
    Image.new("RGB", (64, 64), (200, 30, 30)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    files = [PictureFile(tmp_path / name, name) for name in ("bad.png", "gone.png", "good.png")]
    run = PictureRun(PartModel(build(SMALL, 1).eval(), "here"), {"min_score": 0.0})
    assert [one.number for one in run.answers(files, [])] == [2]
    assert sorted((one.number, one.reason) for one in run.left_out) == [(0, "not_an_image"), (1, "unreadable")]


def test_what_cannot_be_run_is_refused() -> None:
    """A segmenter, and a setting that the stage does not have."""
    with pytest.raises(UsageError, match="finds objects, not parts"):
        PictureRun(PartModel(build(SMALL, 2).eval(), "here"), {})
    with pytest.raises(UsageError, match=r"settings.treshold: unknown setting. Did you mean 'threshold'"):
        PictureRun(PartModel(build(SMALL, 2, 1).eval(), "here", unnamed_classes(1)), {"treshold": 0.1})


def test_pictures_are_seen_as_large_as_in_the_training() -> None:
    """Unless a node or the caller says otherwise."""
    model = PartModel(build(SMALL, 1).eval(), "here", trained_px=96)
    assert PictureRun(model, {}).settings.long_side == 96
    assert PictureRun(model, {"long_side": 64}).settings.long_side == 64
