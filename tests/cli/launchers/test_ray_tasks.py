"""Workers on a real Ray cluster of two nodes, and what is said without one."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.cli.conftest import Pd, assert_error

WORDS = ("run", "ingest", "--launcher", "ray", "--jobs", "2")
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'pdstore[ray]'")


def test_without_ray_the_extra_is_named(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    assert_error(pd(*WORDS), 2, "the package ray is not installed", "pip install 'pdstore[ray]'")


@needs_ray
@pytest.mark.slow
def test_without_a_cluster_its_start_is_named(pd: Pd, store: Path) -> None:
    """The error names the address that does not answer."""
    assert_error(pd(*WORDS, "--ray-address", "127.0.0.1:9"), 2, "--ray-address 127.0.0.1:9", "no Ray cluster")


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(600)
def test_a_node_that_is_lost_loses_nothing(
    pd: Pd, store: Path, slow_ingest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two nodes is removed midway: its task runs again on the other, and the result is complete."""
    cluster = _start_cluster(monkeypatch)
    # Only now: Ray's own processes would load it, too.
    slow_ingest(2)
    try:
        lost = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        remover = Thread(target=_remove, args=(cluster, lost, store))
        remover.start()
        result = pd(*WORDS, "--ray-address", cluster.address)
        remover.join()
        assert result.code == 0, result.err
        assert "is started again" in result.err
        assert "already done" in pd(*WORDS, "--ray-address", cluster.address).err
    finally:
        cluster.shutdown()
    assert pd("verify").code == 0


def _start_cluster(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A cluster with one node. Ray gives a node 30 seconds to start; on a busy machine it gets two minutes."""
    import ray._private.services as services
    from ray.cluster_utils import Cluster

    asked, deadline = services.get_node, time.monotonic() + 120

    def get_node(*words: Any) -> Any:
        while True:
            try:
                return asked(*words)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    monkeypatch.setattr(services, "get_node", get_node)
    try:
        return Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    except Exception as error:  # Ray raises no class of its own here
        pytest.skip(f"no Ray cluster starts here: {error}")


def _remove(cluster: Any, node: Any, store: Path) -> None:
    """Remove the node once two workers have begun."""
    deadline = time.monotonic() + 200
    while len(list(store.glob("leases/ingest/*/*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    cluster.remove_node(node, allow_graceful=False)
