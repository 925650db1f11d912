from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from pathlib import Path

import pytest

from pdstore.files import Files, links
from pdstore.files.probes import Probe, probe_storage
from tests.faults.small_disk import can_mount, mount_small_disk
from tests.forks import in_process
from tests.pdstore.conftest import Place


def unsound(probes: list[Probe]) -> list[Probe]:
    return [probe for probe in probes if not probe.is_sound]


@pytest.fixture
def mounts() -> None:
    """Not a mark: the processes of these tests import this module, too."""
    if not can_mount():
        pytest.skip("file systems cannot be mounted here")


def probed_on_read_only_disk(folder: str) -> list[Probe]:
    """In a process of its own."""
    mount_small_disk(folder, 1 << 18)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    return probe_storage(Files(folder))


def probed_on_full_disk(folder: str) -> tuple[list[Probe], list[str]]:
    """The same, and what lies on the disk afterwards."""
    mount_small_disk(folder, 1 << 18)
    with Path(folder, "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return probe_storage(Files(folder)), os.listdir(folder)


def test_what_a_store_needs_is_there_and_nothing_is_left(place: Place) -> None:
    """A folder, memory and an S3 server pass every probe, and are as they were before."""
    files = Files(place.url, **place.options)
    files.write("store.json", b"{}")
    before = files.sizes("")
    probes = probe_storage(files)
    assert unsound(probes) == [] and len(probes) == 6 + files.is_local
    created = {probe.property: probe.found for probe in probes}["a name that only one writer gets"]
    assert created == ("hard link" if files.is_local else "put if absent")
    assert files.sizes("") == before
    if files.is_local:
        assert os.listdir(place.url) == ["store.json"]


@pytest.mark.usefixtures("mounts")
def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    """One probe says so; what would follow from it is not said again."""
    [probe] = in_process(probed_on_read_only_disk, str(tmp_path))
    assert not probe.is_sound and probe.is_needed and "the file system is read-only" in probe.found
    assert probe.fix.startswith("Mount it for writing")


@pytest.mark.usefixtures("mounts")
def test_a_full_disk(tmp_path: Path) -> None:
    """The error of a commit that finds no space, and its remedy; nothing is left in the way."""
    [probe], left = in_process(probed_on_full_disk, str(tmp_path))
    assert not probe.is_sound and "the disk is full" in probe.found and probe.fix.startswith("Free some space")
    assert left == ["filler"]


def test_a_file_system_on_which_no_name_can_be_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links, and without what pd does in their place, no store can be kept: the link is refused here."""

    def refused(*paths: str) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr("pdstore.files.links._WAYS", {"hard link": refused})
    [probe] = unsound(probe_storage(Files(str(tmp_path))))
    assert probe.property == "a name that only one writer gets" and probe.is_needed
    assert os.listdir(tmp_path) == []


class Careless(Files):
    """An object store that takes every put, whatever its condition: what some servers do with ``If-None-Match``."""

    def create(self, path: str, data: bytes) -> bool:
        self.write(path, data)
        return True


class Forgetful(Files):
    """A storage whose listings do not show what was written last."""

    def names(self, folder: str) -> list[str]:
        return super().names(folder)[:-1]


class Ahead(Files):
    """A server whose clock is ten minutes ahead."""

    def newest(self, folder: str) -> float:
        return super().newest(folder) + 600


class Lockless(Files):
    """A file system on which DuckDB can open no file."""

    def full(self, path: str) -> str:
        return "/proc/self/none/catalog" if path.endswith("lock/catalog") else super().full(path)


@pytest.mark.parametrize(
    ("kind", "name", "found", "is_needed"),
    [
        (Careless, "a name that only one writer gets", "replaces the file of the first", True),
        (Forgetful, "listings that show what was written", "expected the names a, then a and b", True),
        (Ahead, "clock of the storage", "600 s ahead of the clock here", False),
        (Lockless, "locks, for the catalog of SQL", "IO Error", False),
    ],
)
def test_a_storage_that_breaks_its_word(
    tmp_path: Path, kind: type[Files], name: str, found: str, is_needed: bool
) -> None:
    """Each property that is missing is found by its own probe, with what to do; the others pass."""
    [probe] = unsound(probe_storage(kind(str(tmp_path))))
    assert probe.property == name and found in probe.found and probe.is_needed == is_needed
    assert probe.fix or is_needed


def test_renames_take_the_place_of_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where links are refused, as on exFAT, the probe says by which way names are taken once."""
    ways = dict(links._WAYS)
    monkeypatch.setattr(links, "_WAYS", {"rename that replaces nothing": ways["rename that replaces nothing"]})
    probes = {probe.property: probe for probe in probe_storage(Files(str(tmp_path)))}
    assert probes["a name that only one writer gets"].found == "rename that replaces nothing"
    assert unsound(list(probes.values())) == []


def test_a_bucket_that_is_not_there(s3_options: dict[str, object]) -> None:
    """One probe names what the server says."""
    [probe] = probe_storage(Files("s3://no-such-bucket-here/store", **s3_options))
    assert not probe.is_sound and "bucket" in probe.found
