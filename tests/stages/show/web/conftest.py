"""A finished store whose class and keys are markup, and clients that ask its pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="pip install 'pdstore[view]'")

from PIL import Image
from starlette.testclient import TestClient

from pdstore import Store
from schemas.pipeline import SourceSpec
from stages.create.store import create_store
from stages.show.web.app import web_app
from stages.show.web.snapshots import Snapshot, Snapshots
from tests.stages.conftest import CLASSICAL, _copy, picture, run_all

MARKUP = "<img src=x onerror=alert(1)>"
"""A class, and so the name of a folder and a part of keys."""
HOST = "http://127.0.0.1:8770"


def draw_images(root: Path) -> Path:
    """Twelve pictures of two classes, and one file that is no picture."""
    for number in range(12):
        path = root / (MARKUP if number % 2 else "dogs") / f"{number:02d}<b>.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        # The later ones are wider than high.
        pixels = picture(number)[: 40 if number < 8 else 30]
        Image.fromarray(pixels).save(path)
    (root / "dogs" / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="session")
def viewed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Thirteen images in five blocks, all nodes done. Never write to it."""
    folder = tmp_path_factory.mktemp("viewed")
    source = SourceSpec(root=str(draw_images(folder / "images")))
    store = create_store(str(folder / "store"), source, CLASSICAL)
    run_all(store)
    return store


@pytest.fixture
def copied(viewed: Store, tmp_path: Path) -> Store:
    """A copy, to be changed."""
    return _copy(viewed, tmp_path)


@pytest.fixture(scope="session")
def snapshots(viewed: Store) -> Iterator[Snapshots]:
    opened = Snapshots(viewed.url)
    yield opened
    opened.close()


@pytest.fixture
def snapshot(snapshots: Snapshots) -> Snapshot:
    return snapshots.newest()


@pytest.fixture
def open_client() -> Iterator[Callable[..., TestClient]]:
    """``open_client(store, access)``: a client of the pages of a store. Failures of a page are raised in the test."""
    clients: list[TestClient] = []

    def open_one(store: Store, *access: object, **options: object) -> TestClient:
        clients.append(TestClient(web_app(store.url, *access), base_url=HOST, follow_redirects=False, **options))
        clients[-1].__enter__()
        return clients[-1]

    yield open_one
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def client(viewed: Store) -> Iterator[TestClient]:
    """A client of the finished store."""
    with TestClient(web_app(viewed.url), base_url=HOST, follow_redirects=False) as found:
        yield found
