from __future__ import annotations

import io

import pytest

from pdstore import layout
from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.records.digests import (
    FileDigest,
    digest_of,
    keep_digest,
    open_checked,
    read_checked,
    remove_with_digest,
    write_with_digest,
)

PATH = "listings/00000.parquet"
DATA = bytes(range(256)) * 5


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 100 bytes, so that a small file has several."""
    monkeypatch.setattr("pdstore.records.digests.PIECE", 100)


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: object) -> Files:
    """Files with one that has a digest."""
    made = Files(str(tmp_path) if request.param == "local" else f"memory://digests{id(request)}")
    write_with_digest(made, PATH, DATA)
    return made


def test_a_sound_file_is_read_whole_and_in_parts(files: Files) -> None:
    """Any range of bytes is what was written, across pieces and at the end."""
    assert read_checked(files, PATH) == DATA
    with open_checked(files, PATH, digest_of(files, PATH)) as file:
        for start, length in ((0, 10), (95, 10), (150, 400), (1275, 50), (2000, 5)):
            file.seek(start)
            assert file.read(length) == DATA[start : start + length]


@pytest.mark.parametrize("damaged", [DATA[:-1], DATA + b"x", b"", b"x" + DATA[1:], DATA[::-1]])
def test_a_file_that_differs_is_named(files: Files, damaged: bytes) -> None:
    """Cut, longer, empty, changed or another: the error has the path and says what to do."""
    files.write(PATH, damaged)
    with pytest.raises(CorruptData, match=f"{PATH}: the file is not what was written: .*Restore"):
        read_checked(files, PATH)


def test_only_the_pieces_that_are_read_are_compared(files: Files) -> None:
    """A byte that is damaged elsewhere does not hinder; reading it does."""
    files.write(PATH, DATA[:1000] + b"?" + DATA[1001:])
    with open_checked(files, PATH, digest_of(files, PATH)) as file:
        assert file.read(300) == DATA[:300]
        file.seek(950)
        with pytest.raises(CorruptData, match="content differs"):
            file.read(100)


def test_a_file_that_is_gone_is_damage(files: Files) -> None:
    """Its digest says that it was there; without one the file never was."""
    files.remove(PATH)
    with pytest.raises(CorruptData, match="the file is missing"):
        read_checked(files, PATH)
    remove_with_digest(files, PATH)
    with pytest.raises(FileNotFoundError):
        read_checked(files, PATH)


def test_a_file_of_an_earlier_release_is_read_as_it_is(files: Files) -> None:
    """Without a digest nothing is compared."""
    files.remove(layout.digest(PATH))
    files.write(PATH, b"other")
    assert digest_of(files, PATH) is None and read_checked(files, PATH) == b"other"
    with open_checked(files, PATH, None) as file:
        assert file.read() == b"other"


def test_a_damaged_digest_is_named(files: Files) -> None:
    """It is the digest that is damaged, and the error says so; that of another file is refused as well."""
    path = layout.digest(PATH)
    files.write(path, files.read(path)[:-20])
    with pytest.raises(CorruptData, match="00000.parquet.digest: the record of the digest"):
        read_checked(files, PATH)
    files.write("other", b"other")
    keep_digest(files, "other", io.BytesIO(b"other"))
    files.write(path, files.read(layout.digest("other")))
    with pytest.raises(CorruptData, match="it is that of other"):
        read_checked(files, PATH)


def test_a_file_that_grows_has_to_begin_as_it_did() -> None:
    """More at its end is allowed where it is expected, and less is not."""
    kept = FileDigest.of("log.jsonl", io.BytesIO(DATA))
    assert kept.problem_of(io.BytesIO(DATA + b"more"), is_growing=True) == ""
    assert "more than" in kept.problem_of(io.BytesIO(DATA + b"more"))
    assert "ends after" in kept.problem_of(io.BytesIO(DATA[:-1]), is_growing=True)
