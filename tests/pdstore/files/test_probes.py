from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdstore.files import Files
from pdstore.files.probes import Probe, probe_storage
from tests.pdstore.conftest import Place


def unsound(probes: list[Probe]) -> list[Probe]:
    return [probe for probe in probes if not probe.is_sound]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 256 KB of space."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


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


def test_a_folder_that_cannot_be_written_to(small_disk: Path) -> None:
    """One probe says so; what would follow from it is not said again."""
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    [probe] = probe_storage(Files(str(small_disk)))
    assert not probe.is_sound and probe.is_needed and "Read-only file system" in probe.found


def test_a_full_disk(small_disk: Path) -> None:
    """The error of a commit that finds no space, and its remedy; nothing is left in the way."""
    with (small_disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    [probe] = probe_storage(Files(str(small_disk)))
    assert not probe.is_sound and "the disk is full" in probe.found and probe.fix.startswith("Free some space")
    assert os.listdir(small_disk) == ["filler"]


def test_a_file_system_on_which_no_name_can_be_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links, and without what pd does in their place, no store can be kept: the link is refused here."""

    def refused(*paths: str) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refused)
    if importlib.util.find_spec("pdstore.files.links"):
        monkeypatch.setattr("pdstore.files.links._renameat2", lambda: None)
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


def test_a_bucket_that_is_not_there(s3_options: dict[str, object]) -> None:
    """One probe names what the server says."""
    [probe] = probe_storage(Files("s3://no-such-bucket-here/store", **s3_options))
    assert not probe.is_sound and "bucket" in probe.found
