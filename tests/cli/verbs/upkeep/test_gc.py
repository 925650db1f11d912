"""``pd gc``: what it lists, deletes and refuses to delete."""

from __future__ import annotations

import json
from pathlib import Path

from pdstore import Store
from stages.plan.project import Project
from tests.cli.conftest import Pd, assert_error, committed


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
    refused = pd("gc", "--older-than", "59m", "--yes")
    assert_error(refused, 2, "--older-than 59m", "younger than an hour may be in use", "--force")
    assert (layer / "blocks" / "00000.dead").exists()
    assert "Deleted 1 entries, 4 bytes" in pd("gc", "--older-than", "0s", "--yes", "--force").err
    assert not (layer / "blocks" / "00000.dead").exists()
    assert pd("gc", "--older-than", "soon").code == 2


def test_gc_needs_exactly_one_layer(pd: Pd, store: Path) -> None:
    """A fingerprint of no layer, or the beginning of several, is refused with the query that lists them."""
    assert pd("run", "--until", "detic").code == 0
    for fingerprint, count in (("zzzz", 0), ("", 2)):
        result = pd("gc", "--layer", fingerprint)
        assert_error(result, 2, f"--layer {fingerprint}", f"found {count} layers", "SELECT node, layer")


def test_gc_leaves_a_layer_that_a_worker_writes(pd: Pd, store: Path) -> None:
    """The error names the units; nothing is deleted while their leases are alive."""
    old = Project.open(Store(str(store))).layer("ingest")
    assert pd("run", "ingest").code == 0 and pd("config", "set", "ingest.copy=true").code == 0
    claim = old.claim(2)
    assert claim is not None
    before = committed(store)
    with claim:
        result = pd("gc", "--layer", old.fingerprint, "--yes")
        assert_error(result, 2, old.fingerprint, "workers are writing units [2]", "Stop them first")
    assert committed(store) == before
    assert pd("gc", "--layer", old.fingerprint, "--yes").code == 0
    assert not (store / "layers" / "ingest" / old.fingerprint).exists()


def test_gc_knows_units_of_time(pd: Pd, store: Path) -> None:
    """An age without a unit is refused, and the error lists the units."""
    assert_error(pd("gc", "--older-than", "7"), 2, "--older-than", "s, m, h, d or w, found '7'", "For example: 7d")
