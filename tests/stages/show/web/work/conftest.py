"""A finished store of twelve photographs of cats and dogs with clusters, and its pages as a browser asks for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the pages need the extra view")

from starlette.testclient import TestClient

from pdstore import Store
from schemas.pipeline import SourceSpec
from stages.create.store import create_store
from stages.show.web.app import web_app
from stages.show.web.snapshots import Snapshots
from tests.stages.conftest import CLASSICAL, photographs, run_all


@pytest.fixture(scope="session")
def _ranked(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("ranked")
    store = create_store(str(folder / "store"), SourceSpec(root=str(photographs(folder / "images"))), CLASSICAL)
    run_all(store)
    return store


@pytest.fixture
def ranked(_ranked: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store, in which every node of the classical pipeline is done; a copy. Ann is at the keyboard."""
    monkeypatch.setenv("PD_WHO", "ann")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(_ranked.url, tmp_path / "ranked")
    return Store(str(tmp_path / "ranked"))


@pytest.fixture
def snapshots(ranked: Store) -> Iterator[Snapshots]:
    made = Snapshots(ranked.url)
    yield made
    made.close()


@pytest.fixture
def client(ranked: Store) -> Iterator[TestClient]:
    """The pages over the store. Redirects are not followed."""
    with TestClient(web_app(ranked.url), base_url="http://127.0.0.1:8770", follow_redirects=False) as made:
        yield made
