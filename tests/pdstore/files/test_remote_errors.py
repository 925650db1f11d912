from __future__ import annotations

import uuid
from typing import Any

import pytest

from pdstore.errors import StorageFailure, StoreUnreachable, UsageError
from pdstore.files import Files
from pdstore.files.remote_errors import check_url, is_transient, remote_failure


class _Answer(Exception):
    """What botocore makes of an answer that is an error."""

    def __init__(self, code: str, status: int, message: str = "the secret is s3cr3t") -> None:
        super().__init__(message)
        self.response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("InvalidAccessKeyId", 403, "does not accept the credentials.*AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", 403, "does not accept the credentials"),
        ("ExpiredToken", 400, "log in again"),
        ("AccessDenied", 403, "do not allow to read and list here.*other credentials"),
        ("NoSuchBucket", 404, "there is no bucket photos.*pd makes none"),
        ("PermanentRedirect", 301, "AWS_REGION"),
        ("RequestTimeTooSkewed", 403, "clock"),
        ("SlowDown", 503, "could not be reached: it answered SlowDown.*committed is safe"),
    ],
)
def test_each_refusal_says_what_to_do(code: str, status: int, says: str) -> None:
    """And repeats nothing that the server said."""
    cause = _Answer(code, status)
    error = OSError("translated: s3cr3t")
    error.__cause__ = cause
    found = remote_failure(error, "s3://photos/store/store.json")
    assert found is not None and "s3cr3t" not in str(found)
    with pytest.raises(StorageFailure, match=rf"s3://photos/store/store.json: .*{says}"):
        raise found


def test_busy_and_lost_is_transient_and_nothing_else() -> None:
    """Also if the code says less than the status."""
    assert (
        is_transient(_Answer("", 503)) and is_transient(_Answer("Weird", 500)) and is_transient(ConnectionResetError())
    )
    assert is_transient(TimeoutError())
    assert not is_transient(_Answer("NoSuchKey", 404)) and not is_transient(ValueError("connection"))
    assert remote_failure(ValueError("x"), "s3://b/s") is None


def test_a_server_that_is_not_there_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the address of the store, and without the key."""
    pytest.importorskip("s3fs")
    monkeypatch.setenv("PD_REMOTE_PATIENCE", "0.3")
    options: dict[str, Any] = {
        "key": "a-key",
        "secret": "s3cr3t",
        "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"},
    }
    files = Files("s3://photos/store", **options)
    for act in (
        lambda: files.read("a"),
        lambda: files.names(""),
        lambda: files.exists("a"),
        lambda: files.create("a", b""),
    ):
        with pytest.raises(StoreUnreachable, match=r"s3://photos/store.*cannot connect.*AWS_ENDPOINT_URL") as caught:
            act()
        assert "a-key" not in str(caught.value) and "s3cr3t" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_named(s3_options: dict[str, Any]) -> None:
    """It is not taken for a store without files."""
    files = Files(f"s3://no-{uuid.uuid4().hex}/store", **s3_options)
    for act in (
        lambda: files.read("a"),
        lambda: files.names("a"),
        lambda: files.write("a", b""),
        lambda: files.tree("a"),
    ):
        with pytest.raises(StorageFailure, match="there is no bucket no-"):
            act()


def test_without_credentials_the_message_names_the_variables(
    s3_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which a person would set."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    files = Files("s3://pdstore/x", anon=False, client_kwargs=s3_options["client_kwargs"])
    with pytest.raises(StorageFailure, match="no credentials.*Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        files.read("a")


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:s3cr3t@bucket/store",
        "https://host/store?X-Amz-Signature=s3cr3t",
        "abfs://c/store?sv=1&sig=s3cr3t",
        "gs://bucket/store?token=s3cr3t",
    ],
)
def test_a_url_with_credentials_is_refused_without_repeating_them(url: str) -> None:
    """Because a store's URL is shown in messages, commands and pages."""
    with pytest.raises(UsageError, match="must not hold credentials") as caught:
        Files(url)
    assert "s3cr3t" not in str(caught.value)
    check_url("s3://bucket/a@b/store")
    check_url("/home/me/photos?key=1")
