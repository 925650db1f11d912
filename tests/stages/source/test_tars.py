"""Images inside tar files: where they lie, and how they are read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pdstore import Store
from pdstore.errors import CorruptData, StorageFailure, UsageError
from pdstore.files import Files
from stages.source.tars import TarFiles, is_tar, list_members, open_images, write_members


def tar_bytes(members: Mapping[str, bytes]) -> bytes:
    """An uncompressed tar file."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return sink.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_bytes(members))
    return path


LONG = f"{'long' * 40}/3.jpg"


def nested(path: Path) -> Path:
    """A tar file that holds images and a tar file of images, one with a name that needs a header of its own."""
    return write_tar(path, {"1.jpg": b"one", "n1.tar": tar_bytes({"2.jpg": b"two", LONG: b"three"}), "4.jpg": b""})


def test_members_of_nested_tars_are_found_at_their_offsets(tmp_path: Path) -> None:
    """Keys are paths as if every tar file were a folder; the bytes lie where it is said."""
    path = nested(tmp_path / "in" / "net.tar")
    found = list(list_members(path, "in/net.tar"))
    assert [member.key for member in found] == [
        "in/net/1.jpg",
        "in/net/n1/2.jpg",
        f"in/net/n1/{LONG}",
        "in/net/4.jpg",
    ]
    data = path.read_bytes()
    assert [data[m.offset : m.offset + m.size] for m in found] == [b"one", b"two", b"three", b""]
    assert [member.key for member in list_members(path, "")][1] == "n1/2.jpg"


def test_a_store_reads_images_in_tars_and_beside_them(tmp_path: Path, classical: Callable[..., Store]) -> None:
    """The store keeps where they lie; other files are read as ever, and one that is nowhere is missing."""
    store, root = classical(), tmp_path / "root"
    assert type(open_images(store, str(root))) is Files
    path = nested(root / "net.tar")
    (root / "5.jpg").write_bytes(b"five")
    write_members(store, list_members(path, "net.tar"))
    images = open_images(store, str(root))
    assert isinstance(images, TarFiles)
    keys = ("net/1.jpg", "net/n1/2.jpg", f"net/n1/{LONG}", "net/4.jpg", "5.jpg")
    assert [images.read(key) for key in keys] == [b"one", b"two", b"three", b"", b"five"]
    with pytest.raises(FileNotFoundError):
        images.read("net/9.jpg")


def test_a_tar_that_changed_is_not_read(tmp_path: Path, classical: Callable[..., Store]) -> None:
    """Its offsets would give other images; a tar file that is gone is a missing file."""
    store = classical()
    path = nested(tmp_path / "net.tar")
    write_members(store, list_members(path, ""))
    images = open_images(store, str(path))
    assert images.read("n1/2.jpg") == b"two"
    write_tar(path, {"1.jpg": b"other"})
    with pytest.raises(StorageFailure, match=r"net.tar: the tar file has changed: it had \d+ bytes and has \d+"):
        images.read("n1/2.jpg")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        images.read("n1/2.jpg")


@pytest.mark.parametrize("keep", [700, 3000])
def test_a_tar_that_is_not_whole_is_refused(tmp_path: Path, keep: int) -> None:
    """A download that broke off, and a file that is no tar file, are named before anything is listed."""
    path = write_tar(tmp_path / "net.tar", {"1.jpg": bytes(2000), "n.tar": tar_bytes({"2.jpg": bytes(2000)})})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptData, match=r"net.tar: the tar file is not whole"):
        list(list_members(path, "net.tar"))
    path.write_bytes(b"\x1f\x8b" * 600)
    with pytest.raises(CorruptData, match=r"net.tar: the tar file is not whole.*compressed"):
        list(list_members(path, "net.tar"))


def test_members_stay_inside_the_tar(tmp_path: Path) -> None:
    """A member whose path leads out is refused."""
    path = write_tar(tmp_path / "net.tar", {"../1.jpg": b""})
    with pytest.raises(UsageError, match=r"\.\./1.jpg leads out of the tar file"):
        list(list_members(path, "net.tar"))


def test_the_last_of_two_members_counts(tmp_path: Path, classical: Callable[..., Store]) -> None:
    """As for tar itself, when files were appended."""
    path, store = tmp_path / "net.tar", classical()
    with tarfile.open(path, "w") as archive:
        for data in (b"old", b"new!"):
            entry = tarfile.TarInfo("1.jpg")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    write_members(store, list_members(path, ""))
    assert open_images(store, str(path)).read("1.jpg") == b"new!"


def test_compressed_tars_are_no_folders() -> None:
    """They cannot be read by offset."""
    assert is_tar("a.tar") and is_tar("A.TAR") and not is_tar("a.tar.gz") and not is_tar("tar")
