from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pdstore.files import kept
from pdstore.files.kept import KeptFiles, cache_folder


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptFiles:
    monkeypatch.setenv("PD_CACHE", str(tmp_path / "cache"))
    return KeptFiles("s3://bucket/store")


def never() -> bytes:
    raise AssertionError("it was fetched again")


def test_what_is_kept_is_fetched_once(files: KeptFiles) -> None:
    """By every process of the user, under its key, and for its store alone."""
    assert files.get("a", lambda: b"one") == b"one"
    assert KeptFiles("s3://bucket/store").get("a", never) == b"one"
    assert KeptFiles("s3://bucket/other").find("a") is None and files.find("b") is None


def test_what_rots_is_fetched_again(files: KeptFiles) -> None:
    """A flipped byte, and a file that was cut."""
    files.put("a", b"content")
    assert files.folder is not None
    [path] = files.folder.iterdir()
    for damaged in (path.read_bytes()[:-1] + b"?", b"", b"short"):
        path.write_bytes(damaged)
        assert files.get("a", lambda: b"content") == b"content"


def test_a_file_for_other_programs_has_exactly_the_bytes(files: KeptFiles) -> None:
    """They are compared with their sha256 once, and again after the file was changed."""
    digest = hashlib.sha256(b"rows").hexdigest()
    place = files.plain("key", "rows.parquet", digest, 4, lambda: b"rows")
    assert place is not None and place.endswith(".rows.parquet") and Path(place).read_bytes() == b"rows"
    assert files.plain("key", "rows.parquet", digest, 4, never) == place
    Path(place).write_bytes(b"rOws")
    os.utime(place, ns=(0, 0))
    assert files.plain("key", "rows.parquet", digest, 4, lambda: b"rows") == place
    assert Path(place).read_bytes() == b"rows"
    with pytest.raises(ValueError, match="sha256"):
        files.plain("other", "rows.parquet", digest, 4, lambda: b"rOws")


def test_a_user_without_a_cache_fetches_every_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Because it is switched off, or cannot be written."""
    monkeypatch.setenv("PD_CACHE", "off")
    off = KeptFiles("s3://bucket/store")
    assert off.folder is None and off.get("a", lambda: b"1") == b"1" and off.find("a") is None
    assert off.plain("a", "x", "", 0, never) is None
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("PD_CACHE", str(tmp_path / "file"))
    assert KeptFiles("s3://bucket/store").get("a", lambda: b"1") == b"1"


def test_the_cache_lies_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And nobody else can read it."""
    monkeypatch.delenv("PD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "pdstore"
    files = KeptFiles("s3://bucket/store")
    files.put("a", b"1")
    assert files.folder is not None and files.folder.stat().st_mode & 0o077 == 0


def test_what_was_used_longest_ago_goes_first(files: KeptFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all stores together have more than is allowed."""
    monkeypatch.setattr(kept, "LIMIT_BYTES", 100)
    monkeypatch.setattr(kept, "_LOOKED_EVERY_S", 0.0)
    files.put("old", bytes(60))
    assert files.folder is not None
    [path] = files.folder.iterdir()
    os.utime(path, (0, 0))
    files.put("new", bytes(60))
    assert files.find("old") is None and files.find("new") == bytes(60)
