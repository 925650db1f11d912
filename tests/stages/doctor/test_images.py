from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pdstore import Store
from stages.doctor.images import image_findings
from stages.plan.project import Project
from stages.run.runner import run_node


def test_a_sample_of_the_images_is_read(classical: Callable[..., Store], folder: Path) -> None:
    """Eight of the twelve, from all four blocks."""
    where, sample = image_findings(Project.open(classical()))
    assert (where.verdict, where.found) == ("ok", f"{folder}, 12 images listed")
    assert (sample.verdict, sample.checked, sample.found) == ("ok", "a sample of 8 images", "all can be read")


def test_images_that_cannot_be_decoded_are_a_warning(classical: Callable[..., Store], folder: Path) -> None:
    """One of them is named with the reason; if none can be read, it fails."""
    store = classical()
    paths = sorted(folder.rglob("*.jpg"))
    for path in paths[:-1]:
        path.write_bytes(path.read_bytes()[:100])
    _, sample = image_findings(Project.open(store))
    assert sample.verdict in {"warning", "fails"} and ".jpg: " in sample.found
    paths[-1].write_bytes(b"")
    _, sample = image_findings(Project.open(store))
    assert sample.verdict == "fails" and sample.found.startswith("8 cannot be read")


def test_one_broken_image_among_eight_is_left_out_by_a_run(classical: Callable[..., Store], folder: Path) -> None:
    """Some of the sample fail: a run leaves such images out, so it is a warning."""
    store = classical()
    for path in sorted(folder.rglob("*.jpg"))[:6]:
        path.write_bytes(b"no picture")
    _, sample = image_findings(Project.open(store))
    assert sample.verdict == "warning" and "table errors" in sample.fix


def test_a_folder_that_is_gone_fails(classical: Callable[..., Store], folder: Path) -> None:
    """As if its disk were not mounted."""
    store = classical()
    folder.rename(folder.with_name("elsewhere"))
    [found] = image_findings(Project.open(store))
    assert found.verdict == "fails" and found.found == f"{folder} is not there" and "mounted" in found.fix


def test_a_store_with_copies_needs_no_folder(classical: Callable[..., Store], folder: Path) -> None:
    """Once all images are copied, a folder that is gone is a warning."""
    store = classical("ingest.copy=true")
    run_node(Project.open(store), "ingest")
    folder.rename(folder.with_name("elsewhere"))
    [found] = image_findings(Project.open(store))
    assert found.verdict == "warning" and "holds copies" in found.fix
