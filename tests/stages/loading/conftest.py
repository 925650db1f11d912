from __future__ import annotations

import pytest

from pdstore import Store
from tests.stages.loading.made import make_store


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of :mod:`tests.stages.loading.made`. Tests may freeze selections in it, and change nothing else."""
    return make_store(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same with the image files in the store, and in no folder."""
    return make_store(tmp_path_factory.mktemp("packed"), is_packed=True)
