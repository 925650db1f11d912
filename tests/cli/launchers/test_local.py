"""Worker processes on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cli.launchers.local import run_workers
from cli.options import Launch
from pdstore.errors import PdError
from stages.run.signals import StopRequest
from tests.cli.conftest import Pd
from tests.cli.launchers.conftest import ROOT


def test_workers_share_the_units(pd: Pd, store: Path) -> None:
    """Three processes compute three blocks, each block once, and the table is the same as from one process."""
    assert pd("stage", "run", "ingest", "--workers", "3").code == 0
    state = json.loads(pd("status", "--json").out)["nodes"]["ingest"]
    assert state["done"] == [0, 1, 2]
    assert pd("sql", "SELECT count(*) FROM images", "--format", "csv").out.splitlines()[1] == "6"
    assert "already done" in pd("stage", "run", "ingest", "--workers", "3").err


def test_workers_take_overrides_as_a_new_layer(pd: Pd, store: Path) -> None:
    """`pd run --workers` records the settings once and waits for all units."""
    pd("run", "--until", "detic")
    assert pd("run", "detic", "detic.min_score=0.01", "--new-layer", "--workers", "2").code == 0
    state = json.loads(pd("status", "--json").out)["nodes"]["detic"]
    assert state["done"] == [0, 1, 2] and len(state["other"]) == 1


def test_workers_divide_the_units_of_a_pass(pd: Pd, pair: Path) -> None:
    """Each worker computes its units for both nodes; a node that is done is named and left out."""
    assert pd("stage", "run", "detic", "sure", "--workers", "2").code == 0
    nodes = json.loads(pd("status", "--json").out)["nodes"]
    assert nodes["detic"]["done"] == nodes["sure"]["done"] == [0, 1, 2]
    again = pd("run", "detic", "sure", "--workers", "2")
    assert again.code == 0 and "detic: already done" in again.err and "sure: already done" in again.err


def test_an_error_before_the_start_is_printed_once(pd: Pd, store: Path) -> None:
    """A missing input or a stale setting starts no worker."""
    result = pd("stage", "run", "detic", "--workers", "3")
    assert result.code == 1 and result.err.count("error: ") == 1 and "pd stage run ingest" in result.err


def test_the_worst_exit_code_counts(pd: Pd, store: Path, photos: Path) -> None:
    """All images are gone: every worker fails, and so does the launcher."""
    shutil.rmtree(photos)
    assert pd("stage", "run", "ingest", "--workers", "2").code == 1


def test_some_units_failed_whichever_worker_had_them(store: Path) -> None:
    """The worker with the bad block fails before anything is committed, yet the run counts as partly failed."""
    row = """
def row(listed, *rest):
    if listed.image_id == 0:
        raise RuntimeError("bad block")
    time.sleep(2)
    return f(listed, *rest)
"""
    process = _start_patched(store, row, "stage", "run", "ingest", "--workers", "3", "--retries", "0")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert "unit 0: RuntimeError: bad block" in err


@pytest.mark.parametrize("codes", [(0, -9), (2, -9), (-9, -9)])
def test_a_worker_that_was_killed_is_named(codes: tuple[int, int]) -> None:
    """It cannot report that itself. Whatever the other workers return, the run has failed."""
    program = f"""import os
code = {codes}[os.environ["PD_WORKER"] == "2/2"]
os.kill(os.getpid(), -code) if code < 0 else os._exit(code)"""
    with pytest.raises(PdError, match=r"workers: .*2/2 killed by SIGKILL.*fewer --workers") as caught:
        run_workers([sys.executable, "-c", program], Launch(workers=2), 2, StopRequest())
    assert caught.value.exit_code == 1 and ("1/2" in str(caught.value)) == (codes[0] == -9)


def test_no_more_workers_than_units_are_started(tmp_path: Path) -> None:
    """Each worker has its name and its share of the cores; the worst exit code is returned."""
    program = f"""import os, pathlib
name = os.environ["PD_WORKER"]
pathlib.Path({str(tmp_path)!r}, name.replace("/", " of ")).write_text(os.environ["OMP_NUM_THREADS"])
os._exit(4 if name.startswith("1") else 0)"""
    assert run_workers([sys.executable, "-c", program], Launch(workers=5), 2, StopRequest()) == 4
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"1 of 2": threads, "2 of 2": threads}


def test_sigterm_reaches_the_workers(store: Path) -> None:
    """The launcher passes the signal on, the workers stop after the current image, and all exit with 75."""
    row = "row = lambda *a: (time.sleep(1), f(*a))[1]"
    process = _start_patched(store, row, "stage", "run", "ingest", "--workers", "2")
    _wait_for_leases(store, 2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "Traceback" not in err and "Run the same command again" in err
    assert not list(store.glob("layers/ingest/*/commits/*.json"))


def _start_patched(store: Path, row: str, *words: str) -> subprocess.Popen[str]:
    """``pd`` in a process of its own, in which ``row`` replaces ingest's function ``f``."""
    folder = store.parent / "site"
    folder.mkdir(exist_ok=True)
    # Workers are plain `python -m cli`: only their start-up can patch them.
    patch = f"import time, stages.nodes.ingest as i\nf = i._row\n{row}\ni._row = row"
    (folder / "sitecustomize.py").write_text(f"try:\n{textwrap.indent(patch, '    ')}\nexcept ImportError:\n    pass\n")
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "cli", "--store", str(store), *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def _wait_for_leases(store: Path, count: int) -> None:
    for _ in range(300):
        if len(list(store.glob("leases/ingest/*/*.json"))) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("no worker began")
