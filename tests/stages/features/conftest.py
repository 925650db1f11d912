from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.features.backbones import save_all


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one checkpoint per kind of network."""
    return save_all(tmp_path_factory.mktemp("checkpoints"))
