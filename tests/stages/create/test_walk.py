"""Which files of a folder are images, and what becomes of links."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from pdstore.errors import UsageError
from stages.create.walk import check_links, find_images
from stages.source.tars import Member
from tests.stages.source.test_tars import tar_bytes, write_tar


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_files_of_systems_are_no_images(tmp_path: Path) -> None:
    """Hidden files and folders, and those that macOS, Windows and network disks write, are left out."""
    touch(*(tmp_path / "cat" / name for name in ("1.jpg", "._1.jpg", ".DS.jpg", "Thumbs.db", "2.JPEG", "notes.txt")))
    touch(*(tmp_path / name / "1.jpg" for name in ("__MACOSX", ".thumbnails", "@eaDir", "$RECYCLE.BIN")))
    assert [found for found in find_images(tmp_path, False) if found[1]] == [("cat", ["1.jpg", "2.JPEG"])]


def test_links_inside_the_root_are_followed(tmp_path: Path) -> None:
    """A link to a hidden place inside the folder, and a link to a file, lead to images; the root may be a link."""
    touch(tmp_path / "in" / ".disk" / "dog" / "1.jpg", tmp_path / "in" / "cat" / "1.jpg")
    (tmp_path / "in" / "dog").symlink_to(tmp_path / "in" / ".disk" / "dog")
    (tmp_path / "in" / "cat" / "2.jpg").symlink_to("1.jpg")
    (tmp_path / "link").symlink_to("in")
    found = {folder: names for folder, names in find_images(tmp_path / "link", False) if names}
    assert found == {"cat": ["1.jpg", "2.jpg"], "dog": ["1.jpg"]}


@pytest.mark.parametrize("name", ["dog", "dog.jpg"])
def test_links_out_of_the_root_need_consent(tmp_path: Path, name: str) -> None:
    """A folder or an image behind such a link is refused by name, or followed if that is asked for."""
    touch(tmp_path / "disk" / "dog" / "1.jpg", tmp_path / "disk" / "dog.jpg", tmp_path / "in" / "cat" / "1.jpg")
    (tmp_path / "in" / name).symlink_to(tmp_path / "disk" / name)
    with pytest.raises(UsageError, match=rf"in/{name}: the link leads out of the image folder, to .*--follow-links"):
        list(find_images(tmp_path / "in", False))
    assert sum(len(names) for _, names in find_images(tmp_path / "in", True)) == 2
    with pytest.raises(UsageError, match=r"lies behind a link out of the image folder"):
        check_links(tmp_path / "in", iter(["cat/1.jpg", name if name.endswith("jpg") else f"{name}/1.jpg"]))


@pytest.mark.parametrize(
    ("link", "target", "problem"),
    [
        ("cat/loop", "..", "cat/loop is the image folder itself under another name"),
        ("pets", "cat", "pets is the folder cat under another name"),
        ("dog", "gone", "in/dog: the link leads to .*gone, where there is nothing"),
        ("self", "self", "in/self: the link leads to .*self, where there is nothing"),
    ],
)
def test_links_that_make_no_sense_are_refused(tmp_path: Path, link: str, target: str, problem: str) -> None:
    """Cycles, a folder under two names, and links to nothing: named, with or without --follow-links."""
    touch(tmp_path / "in" / "cat" / "1.jpg")
    (tmp_path / "in" / link).symlink_to(target)
    for follow_links in (False, True):
        with pytest.raises(UsageError, match=problem):
            list(find_images(tmp_path / "in", follow_links))


def test_keys_without_a_file_are_not_links(tmp_path: Path) -> None:
    """A list may name images that are not there yet; ingest reports them."""
    check_links(tmp_path, iter(["cat/1.jpg", "2.jpg"]))


def test_a_tar_file_is_a_folder_of_its_name(tmp_path: Path) -> None:
    """So is a tar file in it; hidden members are no images; one that was unpacked beside it is left out by name."""
    write_tar(tmp_path / "train" / "a.tar", {"1.jpg": b"1", "._1.jpg": b"", "notes.txt": b"", ".b.tar": b""})
    write_tar(tmp_path / "more.tar", {"./x/2.jpg": b"2", "c.tar": tar_bytes({"3.jpg": b"3"})})
    write_tar(tmp_path / "ILSVRC2012_img_train.tar", {"4.jpg": b"4"})
    members: list[Member] = []
    told: list[str] = []
    found = dict(find_images(tmp_path, False, members, told.append))
    assert {folder: names for folder, names in found.items() if names} == {
        "more/x": ["2.jpg"],
        "more/c": ["3.jpg"],
        "train/a": ["1.jpg"],
    }
    assert [member.key for member in members] == ["more/x/2.jpg", "more/c/3.jpg", "train/a/1.jpg"]
    expected = "left out: ILSVRC2012_img_train.tar, because the folder train beside it seems to be its content"
    assert told == [expected]
    assert dict(find_images(tmp_path / "more.tar", False, [])) == {"x": ["2.jpg"], "c": ["3.jpg"]}


def test_a_link_in_a_tar_file_is_refused_by_name(tmp_path: Path) -> None:
    """What it leads to may not be in the tar file."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("1.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(UsageError, match=r"a.tar: a/1.jpg is a link in a tar file"):
        list(find_images(tmp_path, False))


def test_compressed_archives_are_left_out_by_name(tmp_path: Path) -> None:
    """They cannot be read by offset, and may hold the very images that one expects."""
    touch(tmp_path / "in" / "a.tar.gz", tmp_path / "in" / "b.zip", tmp_path / "in" / "1.jpg")
    told: list[str] = []
    assert dict(find_images(tmp_path, False, [], told.append))["in"] == ["1.jpg"]
    assert told == ["left out: 2 compressed archives (in in, such as a.tar.gz); unpack them to use them"]
