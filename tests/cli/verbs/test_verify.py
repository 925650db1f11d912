"""``pd verify``: it finds damage and repairs it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Pd


def test_verify_finds_damage_and_repairs_it(pd: Pd, store: Path) -> None:
    """A changed file is found, and --repair has its unit recomputed."""
    pd("run", "ingest")
    assert "3 units are sound" in pd("verify").err
    next(store.glob("layers/ingest/*/blocks/00001.*/rows.parquet")).write_bytes(b"rust")
    damaged = pd("verify", "--json")
    assert damaged.code == 1
    assert [d["unit"] for d in json.loads(damaged.out)["damage"]] == [1]
    assert pd("verify", "ingest", "--repair").code == 0
    assert json.loads(pd("plan", "--json").out)["nodes"]["ingest"]["run"] == [1]
    assert pd("run", "ingest").code == 0 and pd("verify").code == 0
