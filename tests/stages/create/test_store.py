from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore import Store, layout
from pdstore.errors import InputMissing, UsageError
from pdstore.records import remove_with_digest
from schemas.pipeline import PipelineSpec, SourceSpec
from stages.create import store as creation
from stages.create.store import add_images, create_store, ensure_listing
from stages.plan.editing import edited, pipeline_text
from stages.plan.project import Project
from stages.plan.states import states
from stages.source.listing import Listing
from tests.stages.conftest import CLASSICAL

INGEST = PipelineSpec.parse({"block_size": 64, "nodes": {"ingest": {}}}, "pipeline")
NOISE = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)


def test_a_new_store_has_its_listing_vocabulary_and_pipeline(folder: Path, classical: Callable[..., Store]) -> None:
    """All images are listed, classes are the class folders in order, and overrides are recorded with the pipeline."""
    store = classical("grouping.k=3")
    listing = Listing(store)
    assert {image.key for block in range(listing.blocks) for image in listing.read(block)} == listing.keys()
    assert listing.keys() == {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    assert [(c.class_id, c.wnid) for c in listing.classes()] == [(0, "cats"), (1, "dogs")]
    assert store.info.vocabulary != ""
    project = Project.open(store)
    assert project["grouping"].settings.model_dump()["k"] == 3 and store.current() == project.pipeline.current()


@pytest.mark.parametrize("lost", [[layout.PIPELINE], [layout.PIPELINE, layout.listing(0)]])
def test_a_killed_creation_is_completed(classical: Callable[..., Store], lost: list[str]) -> None:
    """Listing and pipeline are written from what store.json says, and are what they would have been."""
    store = classical("grouping.k=3")
    names = (layout.listing(0), layout.CLASSES)
    before, current = {name: store.files.read(name) for name in names}, store.current()
    store.files.remove_tree(layout.PIPELINES)
    for name in lost:
        remove_with_digest(store.files, name)
    assert ensure_listing(Store(store.url)).images == 12
    assert {name: store.files.read(name) for name in names} == before and store.current() == current


@pytest.mark.parametrize(
    ("images", "size"),
    [(0, 10), (34, 10), (2560, 10), (2561, 11), (70_000, 274), (262_144, 1024), (1_281_167, 1024)],
)
def test_blocks_are_larger_where_there_are_many_images(images: int, size: int) -> None:
    """A few dozen images are shared by workers, and millions do not become hundreds of thousands of blocks."""
    assert creation._block_size(images) == size


def test_a_pipeline_can_leave_the_size_of_blocks_open(
    classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store records the size that fits its images, which a killed creation keeps and the same pipeline accepts."""
    monkeypatch.setattr(creation, "_BLOCKS", 3)
    monkeypatch.setattr(creation, "_SMALLEST_BLOCK", 1)
    spec = CLASSICAL.model_copy(update={"block_size": 0})
    store = classical(spec=spec)
    project = Project.open(store)
    assert (store.info.block_size, project.listing.blocks) == (4, 3)
    again = edited(project, spec)
    assert again.pipeline.current() == project.pipeline.current() and "block_size: 4\n" in pipeline_text(again)
    store.files.remove_tree(layout.PIPELINES)
    remove_with_digest(store.files, layout.PIPELINE)
    source = SourceSpec.of(store)
    assert create_store(store.url, source, spec).info.block_size == 4


def test_nothing_is_created_if_the_pipeline_is_wrong(folder: Path, tmp_path: Path) -> None:
    """A wrong override is refused before store.json is written."""
    with pytest.raises(UsageError, match=r"max_pixel"):
        create_store(str(tmp_path / "store"), SourceSpec(root=str(folder)), INGEST, ["ingest.max_pixel=9"])
    assert not (tmp_path / "store").exists()


def test_a_store_that_exists_is_left_alone(folder: Path, classical: Callable[..., Store]) -> None:
    """Creating a store where there is one is an error that says what to do; the store does not change."""
    store = classical()
    before = store.files.read(layout.PIPELINE)
    with pytest.raises(UsageError, match=rf"{store.url}: a store already exists here.*--add"):
        create_store(store.url, SourceSpec(root=str(folder)), INGEST)
    assert store.files.read(layout.PIPELINE) == before


@pytest.mark.parametrize("lost", [[layout.PIPELINE, layout.listing(0)], [layout.PIPELINE]])
def test_the_same_request_completes_a_creation(folder: Path, tmp_path: Path, lost: list[str]) -> None:
    """A request that was stopped half-way is given again; any other one finds a store that exists."""
    url, source = str(tmp_path / "store"), SourceSpec(root=str(folder))
    store = create_store(url, source, INGEST)
    before = {name: store.files.read(name) for name in (layout.listing(0), layout.pipeline(0))}
    for name in lost:
        remove_with_digest(store.files, name)
    if len(lost) > 1:
        store.files.remove_tree(layout.PIPELINES)
    with pytest.raises(UsageError, match="already exists"):
        create_store(url, source, INGEST, ["ingest.max_pixels=9"])
    assert create_store(url, source, INGEST).current() == store.current()
    assert store.files.exists(layout.PIPELINE) and store.files.read(layout.listing(0)) == before[layout.listing(0)]
    with pytest.raises(UsageError, match="already exists"):
        create_store(url, source, INGEST)


def test_added_images_open_new_blocks(
    folder: Path, classical: Callable[..., Store], run_all: Callable[..., None], contents: Callable
) -> None:
    """Committed blocks stay as they are; barriers show as stale, and --refresh computes them again."""
    store = classical()
    run_all(store)
    before = contents(store)
    for number in range(4):
        Image.fromarray(NOISE + np.uint8(number)).resize((40, 40)).save(folder / "cats" / f"new{number}.png")
    assert add_images(store, SourceSpec(root=str(folder))) == 4
    assert add_images(store, SourceSpec(root=str(folder))) == 0
    assert Listing(store).blocks == 6 and Listing(store).images == 16
    assert [image.image_id for block in (4, 5) for image in Listing(store).read(block)] == [12, 13, 14, 15]
    run_all(store, ["ingest", "detic", "grouping", "crf"])
    run_all(store, ["candidates"], limit=1)
    with pytest.raises(InputMissing, match=r"all 6 units of candidates, of which 1 are missing \([45]\)"):
        run_all(store, ["ranking"], refresh=True)
    run_all(store, ["candidates"])
    words = {state.node: state.word for state in states(Project.open(store))}
    assert words == dict.fromkeys(("ingest", "detic", "grouping", "crf", "candidates"), "done") | {
        "ranking": "stale",
        "labels": "partly done",
    }
    after = contents(store)
    assert all(after[n][unit] == content for n in before for unit, content in before[n].items())
    run_all(store, refresh=True)
    assert {state.word for state in states(Project.open(store))} == {"done"}
    assert contents(store)["ranking"] != before["ranking"]


def test_images_of_another_folder_are_not_added(folder: Path, classical: Callable[..., Store], tmp_path: Path) -> None:
    """They could never be read: the error names the store's folder, and the listing stays as it was."""
    store = classical()
    Image.fromarray(NOISE).save(folder / "cats" / "new.png")
    shutil.copytree(folder, tmp_path / "other")
    problem = rf"{tmp_path}/other is not the image folder of the store, {folder}.*--images {folder}"
    with pytest.raises(UsageError, match=problem):
        add_images(store, SourceSpec(root=str(tmp_path / "other")))
    assert Listing(store).images == 12
    (tmp_path / "link").symlink_to(folder)
    assert add_images(store, SourceSpec(root=str(tmp_path / "link"))) == 1


def test_images_of_new_classes_are_not_added(folder: Path, classical: Callable[..., Store]) -> None:
    """The vocabulary is fixed: images of a new class are refused, and the listing stays as it was."""
    store = classical()
    (folder / "birds").mkdir()
    Image.fromarray(NOISE).save(folder / "birds" / "0.png")
    with pytest.raises(UsageError, match=r"these classes are not in the store's vocabulary: \['birds'\]"):
        add_images(store, SourceSpec(root=str(folder)))
    assert Listing(store).images == 12
