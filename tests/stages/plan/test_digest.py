import hashlib
from pathlib import Path

from stages.plan.digest import is_known, path_digest


def test_a_file_has_its_sha256(tmp_path: Path) -> None:
    """The name does not count; a file that does not exist is marked by its path."""
    (tmp_path / "a").write_bytes(b"weights")
    assert path_digest(tmp_path / "a") == hashlib.sha256(b"weights").hexdigest()
    assert path_digest(tmp_path / "b") == f"missing: {tmp_path / 'b'}"


def test_a_folder_has_the_digest_of_its_files(tmp_path: Path) -> None:
    """Names and contents count, wherever the folder lies; hidden files, such as a download's notes, do not."""
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "sub" / "a").write_text("1")
    (tmp_path / "two" / ".cache").mkdir()
    (tmp_path / "two" / ".cache" / "lock").write_text("x")
    first = path_digest(tmp_path / "one")
    assert path_digest(tmp_path / "two") == first
    (tmp_path / "two" / "sub" / "a").write_text("22")
    assert path_digest(tmp_path / "two") != first
    (tmp_path / "one" / "sub" / "a").rename(tmp_path / "one" / "sub" / "b")
    assert path_digest(tmp_path / "one") != first


def test_what_is_away_keeps_its_recorded_digest(tmp_path: Path) -> None:
    """A file or a folder on a disk that is not mounted; a folder that exists but is empty is a mount point."""
    (tmp_path / "empty").mkdir()
    assert path_digest(tmp_path / "a", recorded="ab12") == "ab12"
    assert path_digest(tmp_path / "empty", is_checkpoint=True, recorded="ab12") == "ab12"
    assert path_digest(tmp_path / "empty", is_checkpoint=True) == f"missing: {tmp_path / 'empty'}"
    assert path_digest(Path("org/name"), is_checkpoint=True, recorded="ab12") == "ab12"
    (tmp_path / "a").write_bytes(b"new")
    assert path_digest(tmp_path / "a", recorded="ab12") == hashlib.sha256(b"new").hexdigest()
    assert is_known("ab12") and not is_known(path_digest(tmp_path / "b"))


def test_a_hub_name_stands_for_itself() -> None:
    """Only a setting that may be a hub name: otherwise a path of the same form is a missing file."""
    assert path_digest(Path("org/name"), is_checkpoint=True) == "hub: org/name"
    assert path_digest(Path("org/name")) == "missing: org/name"
    assert path_digest(Path("/org/name"), is_checkpoint=True) == "missing: /org/name"
