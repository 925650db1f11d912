from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import run_command
from pdstore import Layer, layout
from tests.pdstore.example import filled, parts


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layer:
    monkeypatch.setenv("PD_STORE", str(tmp_path))
    return filled(str(tmp_path), units=range(3))


def test_all_layers_are_gathered(layer: Layer, capsys: pytest.CaptureFixture[str]) -> None:
    """It says how many units became how many files; a second time there is nothing to do."""
    assert run_command(["compact"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1].split() == ["grouping", layer.fingerprint[:8], "3", "1", "1"]
    assert shown.err == "Gathered 3 units.\n"
    assert len(layer.commits().gathered) == 1
    assert run_command(["compact", "grouping"]) == 0
    assert capsys.readouterr().err == "Nothing to gather.\n"


def test_the_answer_is_there_for_programs(layer: Layer, capsys: pytest.CaptureFixture[str]) -> None:
    """One entry per layer that holds units; damaged units are named."""
    (layer.store.files.local(layer.manifest(1).folder) / "rows.parquet").unlink()
    assert run_command(["compact", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["node"], entry["units"], entry["added"], entry["left_out"]) == ("grouping", 2, [0], [1])


def test_a_node_that_has_not_run_is_named(layer: Layer, capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest one that has."""
    assert run_command(["compact", "grupping"]) == 2
    assert "Did you mean 'grouping'" in capsys.readouterr().err


def test_verify_and_gc_know_the_index(layer: Layer, capsys: pytest.CaptureFixture[str]) -> None:
    """Verify finds a damaged index file and removes it; gc lists what a larger file has replaced."""
    assert run_command(["compact"]) == 0
    path = layer.store.files.local(layout.index_file(layer.node, layer.fingerprint, 0))
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    assert run_command(["verify"]) == 1
    assert "00000.arrow" in capsys.readouterr().out and path.exists()
    assert run_command(["verify", "--repair"]) == 0
    assert "1 index files were removed" in capsys.readouterr().err and not path.exists()
    assert run_command(["verify"]) == 0
    path.write_bytes(data)
    layer.commit(3, parts(1))
    assert run_command(["compact"]) == 0
    capsys.readouterr()
    assert run_command(["gc", "--older-than", "0s"]) == 0
    assert "00000.arrow" in capsys.readouterr().out
