from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pdstore.commit import FileEntry, Manifest, commit_attempt, inputs_digest, new_attempt, read_manifest
from pdstore.errors import CommitConflict, CorruptData, StorageFailure
from pdstore.files import Files
from pdstore.leases.owner import clock
from tests.pdstore.conftest import Place


def commit(files: Files, content: dict[str, bytes], unit: int = 3, attempt: str | None = None) -> Manifest:
    return commit_attempt(
        files, "crf", "f00d", unit, content, rows={"parts": 2}, inputs={"x": "y"}, started=time.time(), attempt=attempt
    )


class TestContract:
    """How a unit is committed, wherever the store is."""

    @pytest.fixture
    def files(self, place: Place) -> Files:
        return Files(place.url, **place.options)

    def test_a_commit_records_everything_about_its_attempt(self, files: Files) -> None:
        """The manifest that is read equals the one returned, and lists every file with size and checksum."""
        made = commit(files, {"a": b"1", "z/b": b"22"})
        assert read_manifest(files, "crf", "f00d", 3) == made
        assert (made.node, made.fingerprint, made.unit) == ("crf", "f00d", 3)
        assert (made.rows, made.inputs) == ({"parts": 2}, {"x": "y"})
        assert made.size == 3
        assert {name: files.read(f"{made.folder}/{name}") for name in made.files} == {"a": b"1", "z/b": b"22"}
        assert made.files["a"] == FileEntry.of(b"1")

    def test_the_second_commit_loses_and_changes_nothing(self, files: Files) -> None:
        """The error names the winner, and the first attempt stays the unit's content."""
        first = commit(files, {"a": b"1"})
        with pytest.raises(CommitConflict, match=first.attempt):
            commit(files, {"a": b"2"})
        assert read_manifest(files, "crf", "f00d", 3) == first
        assert files.read(f"{first.folder}/a") == b"1"

    def test_a_commit_that_arrived_counts_even_if_the_answer_was_lost(self, files: Files, monkeypatch: Any) -> None:
        """If the manifest was created but the answer got lost, the stored attempt decides: it is committed."""
        create = files.create

        def lost(path: str, data: bytes) -> bool:
            create(path, data)
            raise ConnectionResetError("answer lost")

        monkeypatch.setattr(files, "create", lost)
        made = commit(files, {"a": b"1"})
        assert read_manifest(files, "crf", "f00d", 3) == made

    def test_a_repeated_request_of_our_own_is_no_conflict(self, files: Files, monkeypatch: Any) -> None:
        """If the client repeats a create that had arrived, the file that exists is our own: it is committed."""
        create = files.create
        monkeypatch.setattr(files, "create", lambda path, data: create(path, data) and create(path, data))
        made = commit(files, {"a": b"1"})
        assert read_manifest(files, "crf", "f00d", 3) == made

    def test_a_lost_answer_to_a_lost_race_is_a_conflict(self, files: Files, monkeypatch: Any) -> None:
        """The transport failed and another attempt is committed: this one lost."""
        commit(files, {"a": b"1"})

        def lost(path: str, data: bytes) -> bool:
            raise StorageFailure("the storage did not answer")

        monkeypatch.setattr(files, "create", lost)
        with pytest.raises(CommitConflict):
            commit(files, {"a": b"2"})

    def test_a_commit_that_did_not_arrive_is_a_storage_failure(self, files: Files, monkeypatch: Any) -> None:
        """Nothing is committed, and the error is the storage's own."""

        def refuse(path: str, data: bytes) -> bool:
            raise StorageFailure("expected room to write, found no space left")

        monkeypatch.setattr(files, "create", refuse)
        with pytest.raises(StorageFailure, match="no space"):
            commit(files, {"a": b"1"})
        assert read_manifest(files, "crf", "f00d", 3) is None


def test_a_disk_that_fills_up_commits_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever write of an attempt hits the full disk, no manifest is there; the next try commits."""
    sync, files = os.fsync, Files(str(tmp_path))
    for allowed in range(20):
        left = iter(range(allowed))

        def full(descriptor: int, left: Any = left) -> None:
            if next(left, None) is None:
                raise OSError(28, "No space left on device")
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        try:
            commit(files, {"a": b"1", "b/c": b"2"}, unit=allowed)
        except StorageFailure:
            manifest = read_manifest(files, "crf", "f00d", allowed)
            # Only the very last sync, of the folder of the manifest, may fail behind the commit.
            assert manifest is None or files.read(f"{manifest.folder}/b/c") == b"2"
            monkeypatch.setattr(os, "fsync", sync)
            if manifest is None:
                commit(files, {"a": b"1", "b/c": b"2"}, unit=allowed)
        else:
            break
    else:
        pytest.fail("never enough space")


def test_attempts_have_names_of_their_own() -> None:
    """A hundred attempts get a hundred names, so that no two share a folder."""
    assert len({new_attempt() for _ in range(100)}) == 100


def test_content_is_what_was_written_not_who_wrote_it() -> None:
    """Attempts with the same bytes have equal content digests; another byte or name gives another digest."""
    files = Files("memory://content")
    same = [commit(files, {"a": b"1"}, unit) for unit in (1, 2)]
    other = [commit(files, {"a": b"2"}, 3), commit(files, {"b": b"1"}, 4)]
    assert same[0].content == same[1].content
    assert len({manifest.content for manifest in [*same, *other]}) == 3
    assert inputs_digest({0: same[0].content}) == inputs_digest({0: same[1].content})
    assert inputs_digest({0: same[0].content}) != inputs_digest({1: same[0].content})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b'{"format": 1}', b'{"format": 1, "files": []}'])
def test_a_damaged_manifest_is_named(data: bytes) -> None:
    """Whatever the file holds, the error is CorruptData with its path and the command that repairs it."""
    with pytest.raises(CorruptData, match="00003.json: the file is not a manifest.*pd verify --repair"):
        Manifest.from_json(data, "crf", "f00d", 3)


def test_a_newer_format_asks_for_a_newer_program() -> None:
    """A manifest of format 3 may have other fields: it is not called damaged."""
    with pytest.raises(CorruptData, match="format 3.*Update the program"):
        Manifest.from_json(json.dumps({"format": 3, "new": True}).encode(), "crf", "f00d", 3)


@pytest.mark.parametrize("place", [("grouping", "f00d", 3), ("crf", "beef", 3), ("crf", "f00d", 4)])
def test_a_manifest_of_another_unit_is_refused(place: tuple[str, str, int], tmp_path: Path) -> None:
    """A manifest that was copied to the path of another unit, layer or node is not read as that one's."""
    manifest = commit(Files(str(tmp_path)), {"a": b"1"}, 3)
    assert Manifest.from_json(manifest.to_json(), "crf", "f00d", 3) == manifest
    with pytest.raises(CorruptData, match="the manifest of another unit: unit 3 of crf, layer f00d"):
        Manifest.from_json(manifest.to_json(), *place)


@pytest.mark.parametrize(
    ("old", "new"), [('"unit": 3', '"unit": 4'), ('"size": 1', '"size": 2'), ('"files": {', '"files": {"b": null, ')]
)
def test_a_manifest_that_was_changed_is_refused(old: str, new: str, tmp_path: Path) -> None:
    """The record carries a digest of itself."""
    text = commit(Files(str(tmp_path)), {"a": b"1"}, 3).to_json().decode()
    assert old in text
    with pytest.raises(CorruptData, match="its digest differs from its content"):
        Manifest.from_json(text.replace(old, new).encode(), "crf", "f00d", 3)


@pytest.mark.parametrize(("key", "value"), [("unit", "3"), ("rows", {"parts": 1.5}), ("host", 7), ("pid", True)])
def test_values_of_the_wrong_type_are_refused(key: str, value: object, tmp_path: Path) -> None:
    """Also in a record without a digest, as the first stores wrote them."""
    values = json.loads(commit(Files(str(tmp_path)), {"a": b"1"}, 3).to_json())
    del values["digest"]
    assert Manifest.from_json(json.dumps(values).encode(), "crf", "f00d", 3).unit == 3
    with pytest.raises(CorruptData, match="not a manifest"):
        Manifest.from_json(json.dumps(values | {key: value}).encode(), "crf", "f00d", 3)


def test_a_writer_that_was_paused_for_long_writes_its_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its files and its manifest an hour has gone by, and garbage collection has taken the files."""
    files, real = Files(str(tmp_path)), Files.write_many

    def paused(self: Files, written: Mapping[str, bytes]) -> None:
        real(self, written)
        monkeypatch.setattr(Files, "write_many", real)
        resumed = clock() + 3600
        monkeypatch.setattr("pdstore.commit.clock", lambda: resumed)
        self.remove_tree("layers/crf/f00d/blocks")

    monkeypatch.setattr(Files, "write_many", paused)
    manifest = commit(files, {"a": b"1"})
    assert files.read(f"{manifest.folder}/a") == b"1"
