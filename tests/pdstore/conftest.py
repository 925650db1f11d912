"""The places where a store can be: a folder, the memory of the process, and an S3 server on localhost."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Place:
    """A URL at which nothing exists yet, and the options that fsspec needs for it."""

    url: str
    options: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="session")
def s3_options() -> Iterator[dict[str, Any]]:
    """The options that reach an S3 server with the bucket ``pdstore``."""
    s3fs = pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    _, port = server.get_host_and_port()
    options = {"key": "test", "secret": "test", "client_kwargs": {"endpoint_url": f"http://127.0.0.1:{port}"}}
    # All servers of a process have the same buckets, and a module that imports this fixture has one of its own.
    s3fs.S3FileSystem(**options).makedirs("pdstore", exist_ok=True)
    yield options
    server.stop()


@pytest.fixture(params=["local", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of place in turn: a test on it states the contract of every file system."""
    name = uuid.uuid4().hex
    if request.param == "local":
        return Place(str(tmp_path / name))
    if request.param == "memory":
        return Place(f"memory://{name}")
    return Place(f"s3://pdstore/{name}", request.getfixturevalue("s3_options"))
