"""``pd gc``: what it lists, deletes and refuses to delete."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Pd


def test_gc_removes_an_old_layer_and_refuses_the_current(pd: Pd, store: Path) -> None:
    """`pd gc --layer` lists, then with --yes deletes, a layer that the settings no longer lead to."""
    pd("run", "--until", "grouping")
    old = json.loads(pd("status", "--json").out)["nodes"]["grouping"]["layer"]
    refused = pd("gc", "--layer", old, "--yes")
    assert refused.code == 2 and "k=2" in refused.err
    assert pd("config", "set", "grouping.k=3").code == 0
    assert pd("gc", "--layer", old).code == 0 and (store / "layers" / "grouping" / old).exists()
    assert pd("gc", "--layer", old, "--yes").code == 0
    assert not (store / "layers" / "grouping" / old).exists()
    assert pd("run", "grouping").code == 0


def test_gc_removes_what_a_training_would_continue_from(pd: Pd, store: Path) -> None:
    """Deleting a training's layer deletes its selections, so that a new training chooses its images anew."""
    pd("run", "ingest")
    old = json.loads(pd("status", "--json").out)["nodes"]["ingest"]["layer"]
    selections = store / "selections"
    selections.mkdir()
    kept = selections / "checkpoints-detic-0.arrow"
    for path in (selections / f"checkpoints-ingest-{old}.arrow", selections / f"checkpoints-ingest-{old}.json", kept):
        path.write_bytes(b"")
    assert pd("config", "set", "ingest.copy=true").code == 0
    assert pd("gc", "--layer", old, "--yes").code == 0
    assert list(selections.iterdir()) == [kept]


def test_gc_lists_attempts_that_no_commit_names(pd: Pd, store: Path) -> None:
    """What a killed worker left is listed once it is old enough, and deleted with --yes."""
    pd("run", "ingest")
    layer = next((store / "layers" / "ingest").iterdir())
    (layer / "blocks" / "00000.dead").mkdir()
    (layer / "blocks" / "00000.dead" / "rows.parquet").write_bytes(b"half")
    assert "Nothing" in pd("gc").err
    assert "00000.dead" in pd("gc", "--older-than", "0s").out
    assert pd("gc", "--older-than", "0s", "--yes").code == 0
    assert not (layer / "blocks" / "00000.dead").exists()
    assert pd("gc", "--older-than", "soon").code == 2
