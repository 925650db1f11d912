"""The command that starts one worker, and the GPUs that workers are given."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import click
import pytest

from cli.launchers.worker import devices_for, worker_command
from cli.options import Launch, Request
from cli.verbs.stage import command
from pdstore import Store
from stages.plan.shard import Shard
from stages.run.options import RunOptions
from tests.cli.conftest import Pd


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(),
        RunOptions(wait=True, retries=0),
        RunOptions(shard=Shard(2, 7), limit=3, max_error_rate=0.125),
        RunOptions(allow_partial=True, new_layer=True, refresh=True),
    ],
)
def test_a_worker_gets_the_options_of_the_launcher(store: Path, options: RunOptions) -> None:
    """The words of the command are parsed back into the same options, nodes and overrides, without a launcher."""
    request = Request(options, Launch(workers=4))
    words = worker_command(Store(str(store)), ["crf", "grouping"], request, ["crf.gt_prob=0.8", "crf.iterations=1"])
    assert words[:2] == [sys.executable, "-P"] and Path(words[2]).is_file()
    assert words[3:7] == ["--store", str(store), "stage", "run"]
    stage_run = cast(click.Group, command).commands["run"]
    values = stage_run.make_context("run", words[7:]).params
    assert (values["node"], *values["words"]) == ("crf", "grouping", "crf.gt_prob=0.8", "crf.iterations=1")
    assert Request.parse(values, wait=values["wait"]) == Request(options, Launch())


def test_a_worker_gets_the_path_of_a_relative_store(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local store is named by its full path, so that a worker finds it from any folder."""
    monkeypatch.chdir(store.parent)
    words = worker_command(Store(store.name), ["crf"], Request(RunOptions(), Launch()), [])
    assert words[words.index("--store") + 1] == str(store)


def test_without_gpus_no_device_is_named() -> None:
    """A run on the CPU does not ask for devices."""
    assert devices_for(0) == []


def test_too_few_gpus(pd: Pd, store: Path) -> None:
    """The error says how many GPUs were requested and what to do."""
    result = pd("stage", "run", "ingest", "--gpus", "99")
    assert result.code == 2 and "expected 99 GPUs" in result.err and "Use --" in result.err


@pytest.mark.parametrize("place", ["current folder", "PYTHONPATH"])
def test_a_worker_runs_our_packages(
    pd: Pd, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A user's own ``cli.py``, ``stages/`` and ``configs/`` are not run in their place, by none of the launchers."""
    mine = tmp_path / "mine"
    for name in ("cli.py", "stages/__init__.py", "configs/__init__.py", "schemas.py"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text("raise SystemExit('the package of the user was run')\n")
    monkeypatch.delenv("PYTHONPATH")
    if place == "PYTHONPATH":
        monkeypatch.setenv("PYTHONPATH", str(mine))
    else:
        monkeypatch.chdir(mine)
    assert pd("stage", "run", "ingest", "--workers", "2").code == 0
    assert json.loads(pd("status", "--json").out)["nodes"]["ingest"]["state"] == "done"
    script = subprocess.run(
        worker_command(Store(str(store)), ["detic"], Request(RunOptions(shard=Shard(1, 1)), Launch()), []),
        capture_output=True,
        text=True,
    )
    assert script.returncode == 0, script.stderr
