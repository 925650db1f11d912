from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from s3fs.errors import translate_boto_error

from bench.requests import CountingServer
from pdstore.errors import StorageFailure
from pdstore.files import Files, objects


@pytest.fixture(scope="module")
def server(s3_options: dict[str, Any]) -> Any:
    """A server that counts; its buckets are those of the other servers of this process."""
    counting = CountingServer()
    yield counting
    counting.close()


@pytest.fixture
def files(server: CountingServer) -> Files:
    options = {"key": "test", "secret": "test", "client_kwargs": {"endpoint_url": server.url}}
    found = Files(f"s3://pdstore/{uuid.uuid4().hex}", **options)
    found.write_many({f"d/{number:04d}": b"x" * number for number in range(40)} | {"d/sub/1": b"1"})
    server.reset()
    return found


@pytest.mark.parametrize(
    ("act", "requests"),
    [
        (lambda f: f.read("d/0003"), 1),
        (lambda f: f.exists("d/0003"), 1),
        (lambda f: f.exists("d/none"), 1),
        (lambda f: f.names("d"), 1),
        (lambda f: f.names("nothing/here"), 1),
        (lambda f: f.tree("d"), 1),
        (lambda f: f.tail("d/0030", 4), 1),
        (lambda f: f.read_many(["d/0001", "d/0002", "d/0003"]), 3),
        (lambda f: f.read_ranges([("d/0010", 2, 5), ("d/0020", 0, 7)]), 2),
        (lambda f: f.write("new", b"1"), 1),
        (lambda f: f.create("new", b"1"), 1),
        (lambda f: f.remove("d/0001"), 1),
        (lambda f: f.remove_many([f"d/{number:04d}" for number in range(40)]), 1),
    ],
)
def test_each_question_is_one_request(files: Files, server: CountingServer, act: Any, requests: int) -> None:
    """Per object, and one per listing: no size is asked for before, and no parent is listed after."""
    act(files)
    assert server.counts.total() == requests, server.seen


def test_a_missing_object_is_one_request(files: Files, server: CountingServer) -> None:
    """And its error names it."""
    with pytest.raises(FileNotFoundError, match="d/none"):
        files.read("d/none")
    assert server.counts.total() == 1
    with pytest.raises(FileNotFoundError, match="d/none"):
        files.read_many(["d/0001", "d/none"])


def test_a_range_behind_the_end_has_no_bytes(files: Files) -> None:
    """As in a file; the ranges beside it are read."""
    assert files.read_ranges([("d/0010", 10, 20), ("d/0020", 0, 7), ("d/0010", 8, 20)]) == [b"", b"x" * 7, b"xx"]
    with pytest.raises(FileNotFoundError, match="d/none"):
        files.read_ranges([("d/0010", 0, 5), ("d/none", 0, 5)])


@pytest.mark.parametrize("read", ["read_ranges", "read_many"])
def test_what_a_server_refuses_is_not_taken_for_a_short_object(
    files: Files, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    """s3fs has one errno for a range behind the end and for a request of another region, a token, a bucket's name."""

    async def refused(*_: Any, **__: Any) -> bytes:
        answer = {"Error": {"Code": "AuthorizationHeaderMalformed", "Message": "the region is wrong"}}
        raise translate_boto_error(ClientError(answer, "GetObject"))  # type: ignore[arg-type]

    monkeypatch.setattr(files.fs, "_cat_file", refused)
    wanted = ["d/0010", "d/0020"]
    with pytest.raises(StorageFailure, match="another region"):
        getattr(files, read)(wanted if read == "read_many" else [(path, 0, 5) for path in wanted])


def test_a_listing_of_many_pages_is_whole(
    files: Files, server: CountingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and stamps of more than a page; a stamp changes with the content."""
    monkeypatch.setattr(objects, "KEYS_PER_PAGE", 7)
    assert files.names("d") == [*(f"{number:04d}" for number in range(40)), "sub"] and server.counts == {"LIST": 6}
    assert len(files.tree("d")) == 41
    before = files.tree("d")["d/0007"]
    files.write("d/0007", b"y" * 7)
    assert before.size == 7 and files.tree("d")["d/0007"].mark != before.mark
    files.remove_many(list(files.tree("d")))
    assert files.names("d") == []
