"""``pd verify``: it finds damage and repairs it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Pd, assert_error, draw


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


def test_damage_is_a_table_and_an_error(pd: Pd, store: Path) -> None:
    """Each damaged file is a row on stdout; the error counts them and says how to repair them."""
    assert pd("run", "ingest").code == 0
    next(store.glob("layers/ingest/*/blocks/00002.*/rows.parquet")).unlink()
    result = pd("verify")
    header, _, row = result.out.splitlines()
    assert result.code == 1 and header.split() == ["node", "layer", "unit", "file", "problem"]
    assert row.split()[0] == "ingest" and row.split()[2:4] == ["2", "rows.parquet"]
    assert "3 units: " in result.err and "found 1 damaged" in result.err and "pd verify --repair" in result.err


def test_only_nodes_that_have_run_can_be_verified(pd: Pd, store: Path) -> None:
    """The error says what to run first, or names the nearest node."""
    assert_error(pd("verify", "ingest"), 2, "found 'ingest'", "pd run")
    assert pd("run", "ingest").code == 0
    assert_error(pd("verify", "ingst"), 2, "found 'ingst'", "Did you mean 'ingest'?")


def test_images_that_changed_after_ingest(pd: Pd, store: Path, photos: Path) -> None:
    """Each is listed with its reason; --repair ingests replaced ones again, and only lists those that are gone."""
    assert pd("run", "ingest").code == 0
    assert "images are as they were ingested" in pd("verify", "--images").err
    first, second, *_ = sorted(p for p in photos.rglob("*") if p.is_file())
    draw(first, 77)
    first.write_bytes(first.read_bytes() + b"more")
    kept = second.read_bytes()
    second.unlink()
    result = pd("verify", "--images", "--json")
    found = {d["file"]: d["problem"].split(":")[0] for d in json.loads(result.out)["damage"]}
    assert result.code == 1
    assert found == {f"{p.relative_to(photos)}": why for p, why in ((first, "changed"), (second, "missing_file"))}
    listed = pd("verify", "--images")
    assert listed.code == 1 and "2 of" in listed.err and "pd verify --images --repair" in listed.err
    repaired = pd("verify", "ingest", "--images", "--repair")
    assert repaired.code == 1 and "Blocks withdrawn: 1" in repaired.err
    assert len(json.loads(pd("plan", "--json").out)["nodes"]["ingest"]["run"]) == 1
    second.write_bytes(kept)
    assert pd("run", "ingest").code == 0 and pd("verify", "--images").code == 0
    assert_error(pd("verify", "crf", "--images"), 2, "no node that reads the image folder", "ingest")
