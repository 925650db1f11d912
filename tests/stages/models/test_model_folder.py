"""The folder of a trained network."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from pdstore import Identity, Rows, Store, StoreInfo
from pdstore.errors import InputMissing
from schemas.tables import METRICS
from stages.models.model_folder import model_folder

FILES = {"config.json": b"{}", "model.safetensors": b"weights"}


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_the_files_of_a_network_lie_in_a_local_folder(kind: str, tmp_path: Path) -> None:
    """Of a local store nothing is copied; of another, the network's files are, and no others."""
    url = str(tmp_path / "store") if kind == "local" else f"memory://{uuid4().hex}"
    layer = Store.create(url, StoreInfo(4, 0, {})).declare("net", Identity("weights", 1), METRICS, "test")
    with pytest.raises(InputMissing, match="Run: pd stage run net"):
        model_folder(layer)
    layer.commit(0, Rows.from_records(METRICS, []), extra=FILES)
    folder = model_folder(layer)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert folder.is_relative_to(tmp_path / "store") == (kind == "local")
