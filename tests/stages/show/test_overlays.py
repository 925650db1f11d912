from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pdstore import Store, masks
from pdstore.errors import InputMissing, UsageError
from schemas.pipeline import SourceSpec
from stages.plan.project import Project
from stages.show.overlays import drawable, find_image, image_of, overlay_of, picture_of, sample_images


@pytest.fixture
def project(grouped: Store) -> Project:
    """Twelve photographs, grouped; the later nodes have not run."""
    return Project.open(grouped)


def keys(project: Project) -> dict[int, str]:
    frames = project.layer("ingest").scan(["image_id", "key"])
    return {int(i): str(key) for rows in frames for i, key in zip(rows["image_id"], rows["key"], strict=True)}


def test_nodes_that_write_masks_can_be_drawn(project: Project) -> None:
    """They come in the pipeline's order; images and clusters have no masks."""
    assert drawable(project) == ["detic", "grouping", "crf", "labels"]


def test_an_image_is_found_by_id_key_or_end_of_key(project: Project) -> None:
    """The end of a key must be whole names: a file name, or a folder and a file name."""
    for image_id, key in list(keys(project).items())[:3]:
        assert find_image(project, str(image_id)) == find_image(project, key) == image_id
        assert find_image(project, key.split("/")[-1]) == image_id
    with pytest.raises(UsageError, match=r"'.jpg': no image has this id, and no key ends like this\. List the images"):
        find_image(project, ".jpg")


def test_an_ambiguous_key_is_refused(folder: Path, classical: Callable[..., Store], run_all: Callable) -> None:
    """If two images have the same file name, the whole key is needed."""
    (folder / "cats" / "00.jpg").write_bytes((folder / "dogs" / "00.jpg").read_bytes())
    store = classical()
    run_all(store, ["ingest"])
    project = Project.open(store)
    with pytest.raises(UsageError, match=r"'00.jpg': the keys of 2 images end like this\. List the images"):
        find_image(project, "00.jpg")
    assert keys(project)[find_image(project, "cats/00.jpg")] == "cats/00.jpg"


def test_random_images_are_those_of_the_seed(project: Project) -> None:
    """No image comes twice, and if fewer images exist, all of them are taken."""
    first, again, reseeded = (sample_images(project, 5, seed) for seed in (1, 1, 2))
    assert first == again != reseeded and len(set(first)) == 5
    assert sorted(sample_images(project, 99, 0)) == sorted(keys(project))


def test_an_overlay_has_the_masks_of_the_image(project: Project) -> None:
    """They are drawn by falling score; the caption counts them, and parts of one object have different colours."""
    layer = project.layer("grouping")
    for image_id in keys(project):
        rows = layer.read(image_id // project.store.info.block_size)
        rows = rows.take(rows["image_id"] == image_id)
        overlay = overlay_of(project, "grouping", image_id)
        if not len(rows):
            assert overlay is None
            continue
        assert overlay is not None and overlay.caption.startswith(f"{len(rows)} part")
        order = np.argsort(-rows["score"], kind="stable")
        stack = masks.decode(rows.ragged("rle"), int(rows["height"][0]), int(rows["width"][0]))
        assert np.array_equal(overlay.masks, stack[order])
        assert len(set(overlay.colours)) == len(rows)


def test_a_node_that_has_not_run_has_no_overlay(project: Project) -> None:
    """A block that is not committed has no masks."""
    assert overlay_of(project, "crf", 0) is None


def test_a_sheet_has_a_row_per_image_and_a_column_per_node(project: Project) -> None:
    """Nodes without masks of any of the images get no column."""
    ids = sample_images(project, 3, 0)
    alone = picture_of(project, ids[:1], ["grouping"], 100)
    assert picture_of(project, ids, ["grouping"], 100).height > 2.5 * alone.height - 100
    assert picture_of(project, ids[:1], ["detic", "grouping"], 100).width > alone.width
    assert picture_of(project, ids[:1], ["grouping", "crf", "labels"], 100).size == alone.size


def test_pixels_are_those_of_the_file(project: Project) -> None:
    """The caption has the id and the class."""
    for image_id, key in list(keys(project).items())[:3]:
        pixels, caption = image_of(project, image_id)
        assert pixels.shape == (40, 40, 3) and caption == f"{image_id} · {key.split('/')[0]}"


def test_an_image_that_was_not_ingested_is_refused(
    folder: Path, classical: Callable[..., Store], run_all: Callable
) -> None:
    """The error says which query shows the reason; before ingest it says what to run."""
    (folder / "cats" / "01.jpg").write_bytes(b"")
    store = classical()
    with pytest.raises(InputMissing, match=r"ingest: no image has been ingested yet\. Run: pd stage run ingest"):
        sample_images(Project.open(store), 1, 0)
    run_all(store, ["ingest"])
    project = Project.open(store)
    (missing,) = set(range(12)) - set(keys(project))
    with pytest.raises(InputMissing, match=rf"image {missing}: .*SELECT reason, detail FROM errors .* {missing}"):
        image_of(project, missing)


def test_an_image_file_that_has_changed_is_refused(
    folder: Path, classical: Callable[..., Store], run_all: Callable
) -> None:
    """The error names a file that is missing or no longer readable; packed images do not need their files."""
    plain, packed = classical(source=SourceSpec(root=str(folder))), classical("ingest.copy=true")
    for store in (plain, packed):
        run_all(store, ["ingest"])
    project = Project.open(plain)
    first, second = (find_image(project, key) for key in ("cats/01.jpg", "cats/03.jpg"))
    before = image_of(Project.open(packed), first)[0]
    (folder / "cats" / "01.jpg").unlink()
    (folder / "cats" / "03.jpg").write_bytes(b"no image")
    with pytest.raises(InputMissing, match=r"cats/01.jpg: the file of the image is missing\. Bring the file back"):
        image_of(project, first)
    with pytest.raises(InputMissing, match=r"cats/03.jpg: the image is no longer as it was ingested"):
        image_of(project, second)
    assert np.array_equal(image_of(Project.open(packed), first)[0], before)
