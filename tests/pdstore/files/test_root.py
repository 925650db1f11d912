from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pdstore.errors import StorageFailure, UsageError
from pdstore.files import Files
from tests.pdstore.conftest import Place


@pytest.fixture
def files(place: Place) -> Files:
    return Files(place.url, **place.options)


class TestContract:
    """What the engine relies on, on every file system."""

    def test_what_is_written_is_read(self, files: Files) -> None:
        """Content comes back byte for byte, and a later write replaces all of it."""
        files.write("a/b.bin", b"\0\xff" * 1000)
        assert files.read("a/b.bin") == b"\0\xff" * 1000
        files.write("a/b.bin", b"")
        assert files.read("a/b.bin") == b""

    def test_create_never_replaces(self, files: Files) -> None:
        """The first create wins; the second returns False and leaves the file as it is."""
        assert files.create("c/1.json", b"first")
        assert not files.create("c/1.json", b"second")
        assert files.read("c/1.json") == b"first"

    def test_names_are_listed_in_any_order(self, files: Files) -> None:
        """``listed`` gives what ``names`` gives, each name once, unsorted; nothing for a folder that is not there."""
        for name in ("b", "a", "c/d", "c/e"):
            files.write(f"f/{name}", b"1")
        assert sorted(files.listed("f")) == files.names("f") == ["a", "b", "c"]
        assert files.listed("g") == []

    def test_what_is_stored_decides_whether_a_create_of_ones_own_arrived(
        self, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error whose put arrived, and its retry, are a success; one whose put did not is raised."""
        create = files.create
        assert files.create_own("c/1.json", b"own") and files.create_own("c/1.json", b"own")
        assert not files.create_own("c/1.json", b"another")

        def lose_answer(path: str, data: bytes) -> bool:
            if data != b"lost":
                create(path, data)
            raise StorageFailure("no answer", path)

        monkeypatch.setattr(files, "create", lose_answer)
        assert files.create_own("c/2.json", b"own") and not files.create_own("c/2.json", b"another")
        with pytest.raises(StorageFailure, match="no answer"):
            files.create_own("c/3.json", b"lost")

    def test_the_end_of_a_file_is_read_alone(self, files: Files) -> None:
        """With the size of the whole; a short file is its own end."""
        files.write("a/b.bin", bytes(range(200)))
        assert files.tail("a/b.bin", 3) == (200, b"\xc5\xc6\xc7")
        assert files.tail("a/b.bin", 1000) == (200, bytes(range(200)))
        with pytest.raises(FileNotFoundError):
            files.tail("a/none.bin", 3)

    def test_a_file_written_piece_by_piece_is_there_as_a_whole(self, files: Files) -> None:
        """Once the block is left; if it raises, there is no file."""
        with files.writing("a/b.bin") as file:
            for _ in range(3):
                file.write(b"abc")
        assert files.read("a/b.bin") == b"abc" * 3

        def stopped() -> None:
            with files.writing("a/c.bin") as file:
                file.write(b"abc")
                raise ValueError("stop")

        with pytest.raises(ValueError, match="stop"):
            stopped()
        assert files.names("a") == ["b.bin"] and files.leftovers("a") == []

    def test_one_of_many_creators_wins(self, files: Files) -> None:
        """Of eight threads that create one path, exactly one succeeds, and its content is what is read."""
        barrier, won = threading.Barrier(8), []

        def run(number: int) -> None:
            barrier.wait()
            if files.create("race", str(number).encode()):
                won.append(number)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert files.read("race") == str(won[0]).encode()

    def test_many_files_are_read_in_one_request(self, files: Files) -> None:
        """Every path of the request is a key of the result; an empty request gives an empty result."""
        content = {f"d/{i}/x y.bin": bytes([i]) * i for i in range(5)}
        files.write_many(content)
        assert files.read_many(list(content)) == content
        assert files.read_many(["d/3/x y.bin"]) == {"d/3/x y.bin": b"\3\3\3"}
        assert files.read_many([]) == {}

    def test_an_open_file_can_be_sought_in(self, files: Files) -> None:
        """Each reader has its own position, and a file that does not exist is not found."""
        content = bytes(range(256)) * 4000
        files.write("a/b.bin", content)
        with files.open("a/b.bin") as one, files.open("a/b.bin") as other:
            one.seek(900_001)
            other.seek(10)
            assert one.read(5) + other.read(5) == content[900_001:900_006] + content[10:15]
        assert one.closed and other.closed
        with pytest.raises(FileNotFoundError), files.open("a/c.bin"):
            pass

    def test_a_missing_file_is_not_found(self, files: Files) -> None:
        """Reading it is FileNotFoundError, alone or among others; its listing is empty and removing it does nothing."""
        files.write("here", b"1")
        for read in (lambda: files.read("not/here"), lambda: files.read_many(["here", "not/here"])):
            with pytest.raises(FileNotFoundError):
                read()
        assert files.exists("here")
        assert not files.exists("not/here")
        assert files.names("not") == []
        assert files.sizes("not") == {}
        files.remove("not/here")
        files.remove_tree("not")

    def test_listings_see_what_was_just_written(self, files: Files) -> None:
        """Names are sorted and those of direct children; a later write or removal shows in the next listing."""
        assert files.names("e") == []
        files.write("e/2", b"22")
        files.write("e/1", b"1")
        files.write("e/sub/3", b"333")
        assert files.names("e") == ["1", "2", "sub"]
        assert files.sizes("e") == {"e/1": 1, "e/2": 2, "e/sub/3": 3}
        files.remove("e/1")
        assert files.names("e") == ["2", "sub"]
        files.remove_tree("e")
        assert files.names("e") == []

    def test_names_that_begin_with_a_dot_are_not_listed(self, files: Files) -> None:
        """A desktop or NFS may leave such files in any folder of the store."""
        for name in (".DS_Store", ".nfs0001", "1.json", "sub/.DS_Store"):
            files.write(f"g/{name}", b"x")
        assert files.names("g") == ["1.json", "sub"]
        assert files.names("g/sub") == []

    def test_a_file_has_no_listing(self, files: Files) -> None:
        """The listing of a file is empty, and so is that of a path below it."""
        files.write("h", b"x")
        assert files.names("h") == files.names("h/sub") == files.leftovers("h") == []

    def test_the_age_of_a_folder_is_that_of_its_newest_file(self, files: Files) -> None:
        """It is given as the time of writing, in seconds since 1970, UTC."""
        files.write("f/1", b"1")
        files.write("f/sub/2", b"2")
        assert abs(files.newest("f") - time.time()) < 60


class TestLocal:
    """What only a folder has."""

    def test_no_temporary_file_stays(self, tmp_path: Path) -> None:
        """A write, a create that wins and a create that loses all leave nothing but the files themselves."""
        files = Files(str(tmp_path / "root"))
        files.write("a", b"1")
        files.create("b", b"2")
        files.create("b", b"3")
        assert sorted(os.listdir(tmp_path / "root")) == ["a", "b"]

    def test_temporary_files_are_not_listed(self, tmp_path: Path) -> None:
        """What a killed writer left behind is not a file of the store; only ``leftovers`` names it."""
        files = Files(str(tmp_path))
        (tmp_path / ".tmp-abc").write_bytes(b"half")
        assert files.names("") == []
        assert files.leftovers("") == [".tmp-abc"]
        assert files.leftovers("nothing") == []

    def test_an_empty_folder_has_an_age(self, tmp_path: Path) -> None:
        """A folder that was just made for an attempt is young."""
        (tmp_path / "new").mkdir()
        assert Files(str(tmp_path)).newest("new") == pytest.approx(os.stat(tmp_path / "new").st_mtime)

    def test_a_path_below_a_file_is_not_found(self, tmp_path: Path) -> None:
        """Reading ``file/x`` raises FileNotFoundError; writing it is a storage failure that names the path."""
        (tmp_path / "file").write_bytes(b"")
        files = Files(str(tmp_path / "file"))
        with pytest.raises(FileNotFoundError):
            files.read("x")
        with pytest.raises(StorageFailure, match="file/x"):
            files.write_many({"x": b"1"})

    def test_local_paths_only_on_local_stores(self, tmp_path: Path) -> None:
        """``local`` gives a Path in a local folder; for another file system the error says what to do."""
        assert Files(str(tmp_path)).local("a/b") == tmp_path / "a" / "b"
        with pytest.raises(UsageError, match="memory://x: expected a local folder.*local or shared disk"):
            Files("memory://x").local("a")

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    @pytest.mark.parametrize("verb", ["write", "create", "write_many"])
    def test_a_full_disk_is_named(self, tmp_path: Path, monkeypatch: Any, verb: str, number: int) -> None:
        """A full disk is a StorageFailure that says what to do and leaves no file, not even a temporary one."""
        files = Files(str(tmp_path))

        def full(descriptor: int) -> None:
            raise OSError(number, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        call: dict[str, Any] = {
            "write": lambda: files.write("a", b"1"),
            "create": lambda: files.create("a", b"1"),
            "write_many": lambda: files.write_many({"a": b"1"}),
        }
        with pytest.raises(StorageFailure, match="no space left.*Free some space"):
            call[verb]()
        if verb != "write_many":
            assert os.listdir(tmp_path) == []

    def test_a_forbidden_folder_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Missing permission is a StorageFailure that names the path."""

        def refuse(*arguments: object, **named: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "replace", refuse)
        message = f"{tmp_path}/a: permission to read and write is missing. Check the permissions of the folder"
        with pytest.raises(StorageFailure, match=message):
            Files(str(tmp_path)).write("a", b"1")


class TestConnection:
    """What happens when the server does not answer."""

    def test_a_read_that_failed_can_be_tried_again(self, tmp_path: Path, monkeypatch: Any) -> None:
        """The error stays an OSError, for a caller that retries."""
        files = Files("memory://connection")

        def reset(path: str) -> bytes:
            raise ConnectionResetError("reset by peer")

        monkeypatch.setattr(files.fs, "cat_file", reset)
        with pytest.raises(OSError, match="reset"):
            files.read("a")

    def test_an_unreachable_server_is_a_storage_failure(
        self, s3_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Writing to it is an error that names the path; reading from it is an OSError."""
        monkeypatch.setenv("PD_REMOTE_PATIENCE", "0")
        unreachable = {
            **s3_options,
            "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"},
            "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 1},
        }
        files = Files("s3://pdstore/x", **unreachable)
        with pytest.raises(StorageFailure, match="pdstore/x/a"):
            files.create("a", b"1")
        with pytest.raises(OSError, match="connect"):
            files.read("a")

    def test_an_error_in_the_program_is_passed_on(self, monkeypatch: Any) -> None:
        """Only errors of the file system are translated."""
        files = Files("memory://program")

        def wrong(path: str) -> bytes:
            raise ZeroDivisionError

        monkeypatch.setattr(files.fs, "cat_file", wrong)
        with pytest.raises(ZeroDivisionError):
            files.read("a")


def test_an_unknown_protocol_says_what_to_install() -> None:
    """A URL that no installed package reads is a usage error that names the extra to install."""
    with pytest.raises(UsageError, match=r"pdstore\[s3\]"):
        Files("nosuch://bucket/x")
