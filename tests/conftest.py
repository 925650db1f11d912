"""What every test runs under: no network, no settings from outside, the same examples every time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Hypothesis: equal runs give equal results, and a slow machine is not a failure.
settings.register_profile(
    "deterministic",
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    # Our fixtures are read-only or make a fresh folder per example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("deterministic")

# Set before any test module imports these libraries: nothing is fetched, nothing is sent.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "disabled"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """The tests of a folder run in one process, one after the other: what they share is made there, and once."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.split("::")[0].rpartition("/")[0]

    return ByFolder(config, log)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The store and the cache of whoever runs the tests are never touched."""
    monkeypatch.delenv("PD_STORE", raising=False)
    monkeypatch.setenv("PD_CACHE", str(tmp_path_factory.getbasetemp() / "pd-cache"))


@pytest.fixture(scope="session")
def my_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of :mod:`tests.opened_store`. Never write to it."""
    # Imported here, since it loads the stages.
    from tests.opened_store import make_store

    return make_store(tmp_path_factory.mktemp("opened"))


@pytest.fixture
def code_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of models that transformers loads is copied to a folder of the test's own, and found there alone."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))  # it gets that folder
    for name in [name for name in sys.modules if name.split(".")[0] == "transformers_modules"]:
        monkeypatch.delitem(sys.modules, name)
