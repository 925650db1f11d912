"""Places that are not as they should be: no links, closed folders, disks that are lost, too little memory."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore import Store
from pdstore.errors import PdError
from schemas.pipeline import PipelineSpec, SourceSpec
from stages.create.store import create_store
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.progress import Watch
from stages.run.runner import run_node
from tests.compare_stores import contents
from tests.faults.commands import COMMANDS, Ended, make_pictures, run_words
from tests.faults.refused_calls import can_refuse, refuse
from tests.faults.small_disk import can_mount, mount_small_disk, unmount
from tests.forks import in_process

NO_LINKS, NO_RENAMES = {"link": errno.EPERM}, {"rename without replacing": errno.EINVAL}
REFUSING = pytest.mark.skipif(not can_refuse(), reason="needs Linux on x86-64 or ARM64: calls are refused by seccomp")
NOBODY = 65534
CLOSED = ("", "layers", "layers/grouping", "layers/grouping/*", "layers/detic/*/commits", "layers/ingest/*/blocks")
CLOSED = (*CLOSED, "listings", "pipeline")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, with pictures."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        make_pictures(Path(name))
        yield Path(name)


def words(folder: Path, name: str) -> list[str]:
    places = {"STORE": f"{folder}/store", "IMAGES": f"{folder}/images", "PRESET": f"{folder}/preset.yaml"}
    found = [places.get(word, word) for word in COMMANDS[name]]
    return found if name == "init" else ["--store", places["STORE"], *found]


def run(folder: Path, *names: str) -> list[Ended]:
    return [in_process(run_words, words(folder, name), "", is_loaded=True) for name in names]


@REFUSING
def test_a_store_without_hard_links_is_like_any_other(folder: Path) -> None:
    """Every command works, trainings included, and the result is the same."""
    ended = in_process(run_refused, folder, NO_LINKS, ("init", "stages", "training", "compact", "sql"), is_loaded=True)
    assert [one.err for one in ended if one.code] == []
    found = contents(Store(f"{folder}/store"))
    shutil.rmtree(folder / "store")
    assert {one.code for one in run(folder, "init", "stages", "training")} == {0}
    assert contents(Store(f"{folder}/store")) == found


@REFUSING
def test_init_refuses_a_file_system_on_which_commits_are_not_safe(folder: Path) -> None:
    """It says what is lacking and where a store can be kept, and leaves no file."""
    [ended] = in_process(run_refused, folder, NO_LINKS | NO_RENAMES, ("init",), is_loaded=True)
    assert ended.code == 1 and "neither hard links nor renames that replace nothing" in ended.err
    assert "Keep the store on another file system" in ended.err and "permission" not in ended.err
    assert [path for path in (folder / "store").rglob("*") if path.is_file()] == []


def run_refused(folder: Path, refused: dict[str, int], names: tuple[str, ...]) -> list[Ended]:
    refuse(refused)
    return [run_words(words(folder, name), "") for name in names]


def test_folders_that_may_not_be_read_are_named(folder: Path) -> None:
    """Whichever it is, each command says so or does not need it: never that there is nothing in the store."""
    assert {ended.code for ended in run(folder, "init", "stages")} == {0}
    sound = {name: run(folder, name)[0].out for name in ("sql", "status")}
    refused = 0
    for pattern in CLOSED:
        [closed] = [folder / "store"] if not pattern else (folder / "store").glob(pattern)
        os.chmod(closed, 0)
        try:
            for name in ("sql", "status", "stages"):
                ended = in_process(run_as_another, words(folder, name), is_loaded=True)
                refused += ended.code != 0
                if ended.code:
                    assert ended.err.count("error: ") == 1 and "permission" in ended.err.lower(), (pattern, name, ended)
                    assert "(unexpected" not in ended.err and str(closed) in ended.err, (pattern, name, ended)
                elif name in sound:
                    assert ended.out == sound[name], (pattern, name, ended)
        finally:
            os.chmod(closed, 0o755)
    assert refused >= len(CLOSED)
    assert run(folder, "sql")[0].out == sound["sql"]


def run_as_another(command: list[str]) -> Ended:
    """As a user whom permissions bind: they do not bind root."""
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    return run_words(command, "")


@pytest.mark.parametrize("after", [4, 7])
def test_images_whose_disk_is_unmounted_are_not_broken(tmp_path: Path, after: int) -> None:
    """Between two blocks, or in one: one sentence, and no row of errors; mounted again, all is computed."""
    if not can_mount():
        pytest.skip("no right to mount a small disk in a namespace")
    message, failures, done = in_process(lose_images, tmp_path, after)
    assert "the image folder cannot be read any more. Mount the disk" in message and str(tmp_path / "images") in message
    assert failures == 0 and done == 12


def lose_images(folder: Path, after: int) -> tuple[str, int, int]:
    """Ingest three blocks of four images, whose disk is lost after some. What is said, rows of errors; the end."""
    images = folder / "images"
    images.mkdir()
    mount_small_disk(str(images), 1 << 20)
    _draw(images)
    spec = PipelineSpec.parse({"block_size": 4, "nodes": {"ingest": {}}}, "pipeline")
    store = create_store(str(folder / "store"), SourceSpec(root=str(images)), spec)
    read, message = iter(range(1000)), ""

    def looks() -> bool:
        if next(read) == after:
            unmount(str(images))
        return False

    try:
        run_node(Project.open(store), "ingest", RunOptions(max_error_rate=0.5), Watch(should_stop=looks))
    except PdError as error:
        message = str(error)
    layer = Project.open(store).layer("ingest")
    failures = sum(layer.manifest(unit).rows.get("errors", 0) for unit in layer.units())
    _draw(images)
    run_node(Project.open(store), "ingest")
    return message, failures, sum(layer.manifest(unit).rows["images"] for unit in layer.units())


def _draw(images: Path) -> None:
    for number in range(12):
        Image.fromarray(np.full((16, 16, 3), number, np.uint8)).save(images / f"{number:02d}.png")


def test_too_little_memory_is_one_sentence(folder: Path) -> None:
    """A run that may have 256 MB more says so when it has loaded half of what it needs; without a limit it goes on."""
    assert run(folder, "init")[0].code == 0
    ended = in_process(run_with_little_memory, words(folder, "stages"), 1 << 28)
    assert ended.code != 0 and ended.err.count("error: ") == 1 and "there is not enough memory" in ended.err, ended
    assert "ulimit -v" in ended.err and "Traceback" not in ended.err and "(unexpected" not in ended.err
    assert run(folder, "stages")[0].code == 0


def run_with_little_memory(command: list[str], spare: int) -> Ended:
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, resource.RLIM_INFINITY))
    ended = run_words(command, "")
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return ended
