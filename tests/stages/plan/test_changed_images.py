from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pdstore import Store
from stages.plan.changed_images import changed_images, image_nodes
from stages.plan.project import Project


def test_changed_files_are_found(folder: Path, classical: Callable[..., Store], run_all: Callable) -> None:
    """Replaced and missing files, each with its block; the others give None."""
    store = classical()
    run_all(store, ["ingest"])
    project = Project.open(store)
    assert image_nodes(project) == ["ingest"]
    assert list(changed_images(project, "ingest")) == [None] * 12
    (folder / "cats" / "01.jpg").write_bytes((folder / "cats" / "03.jpg").read_bytes())
    (folder / "dogs" / "02.jpg").unlink()
    found = list(changed_images(project, "ingest"))
    assert len(found) == 12
    problems = {damage.file: damage.problem.split(":")[0] for damage in found if damage}
    assert problems == {"cats/01.jpg": "changed", "dogs/02.jpg": "missing_file"}
    layer = project.layer("ingest")
    for damage in found:
        assert damage is None or damage.file in layer.read(damage.unit, ["key"])["key"].tolist()


def test_images_in_the_store_need_no_folder(folder: Path, classical: Callable[..., Store], run_all: Callable) -> None:
    """Copied files are the store's own: nothing that happens to the folder concerns them."""
    store = classical("ingest.copy=true")
    run_all(store, ["ingest"])
    (folder / "cats" / "01.jpg").unlink()
    assert list(changed_images(Project.open(store), "ingest")) == []
