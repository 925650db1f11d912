from __future__ import annotations

import threading

import pytest

from pdstore.files import Files
from tests.pdstore.conftest import Place


@pytest.fixture(params=["memory", "s3"])
def files(place: Place) -> Files:
    return Files(place.url, **place.options)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    import uuid

    kind, name = request.node.callspec.params["files"], uuid.uuid4().hex
    if kind == "memory":
        return Place(f"memory://{name}")
    return Place(f"s3://pdstore/{name}", request.getfixturevalue("s3_options"))


def test_at_one_moment_the_same_question_has_the_same_answer(files: Files) -> None:
    """Whatever others write; who writes itself, and who asks after the moment, sees what is there."""
    files.write("a/1", b"one")
    other = Files(files.url, **files._options)
    with files.moment():
        assert files.read("a/1") == b"one" and files.names("a") == ["1"] and not files.exists("a/2")
        other.write("a/1", b"two")
        other.write("a/2", b"two")
        assert files.read("a/1") == b"one" and files.names("a") == ["1"] and not files.exists("a/2")
        files.write("a/3", b"three")
        assert files.read("a/1") == b"two" and files.names("a") == ["1", "2", "3"]
    assert files.names("a") == ["1", "2", "3"] and not files.is_asked_once


def test_a_tree_is_listed_once_for_all_its_folders(files: Files) -> None:
    """Names, and whether a file exists, are told from it, and so is a part of it."""
    for path in ("t/a/1", "t/a/2", "t/b/c/3", "tt/4"):
        files.write(path, path.encode())
    other = Files(files.url, **files._options)
    with files.moment(["t"]):
        assert files.names("t") == ["a", "b"]
        other.write("t/a/5", b"")
        assert files.names("t/a") == ["1", "2"] and files.names("t/b") == ["c"] and files.names("t/none") == []
        assert files.exists("t/b/c/3") and not files.exists("t/a/5")
        assert list(files.tree("t/a")) == ["t/a/1", "t/a/2"] and files.names("tt") == ["4"]
    assert files.names("t/a") == ["1", "2", "5"]


def test_a_moment_is_that_of_its_thread(files: Files) -> None:
    """Another thread asks for itself, and a file that is missing is so twice."""
    found: list[bytes] = []
    with files.moment():
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                files.read("x")
        Files(files.url, **files._options).write("x", b"there")
        thread = threading.Thread(target=lambda: found.append(files.read("x")))
        thread.start()
        thread.join()
        with pytest.raises(FileNotFoundError):
            files.read("x")
    assert found == [b"there"]
