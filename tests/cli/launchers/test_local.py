"""Worker processes on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
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


def _start_patched(store: Path, row: str, *words: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """``pd`` in a process of its own, in which ``row`` replaces ingest's function ``f``."""
    folder = store.parent / "site"
    folder.mkdir(exist_ok=True)
    # Workers are plain `python -m cli`: only their start-up can patch them.
    patch = f"import time, stages.nodes.ingest as i\nf = i._row\n{row}\ni._row = row"
    (folder / "sitecustomize.py").write_text(f"try:\n{textwrap.indent(patch, '    ')}\nexcept ImportError:\n    pass\n")
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "cli", "--store", str(store), *words]
    return subprocess.Popen(command, stderr=stderr, text=True, env=environment)


def _wait_for_leases(store: Path, count: int) -> None:
    for _ in range(300):
        if len(list(store.glob("leases/ingest/*/*.json"))) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("no worker began")


def test_a_worker_that_was_killed_is_started_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At most three times, each; a worker that then succeeds is a success, and what failed by itself is not tried."""
    program = f"""import os, pathlib, uuid
folder = pathlib.Path({str(tmp_path)!r}) / os.environ["PD_WORKER"].replace("/", " of ")
folder.mkdir(exist_ok=True)
(folder / uuid.uuid4().hex).touch()
tries = len(list(folder.iterdir()))
if folder.name == "3 of 3":
    os._exit(1)
os.kill(os.getpid(), 9 if tries < 3 else 15) if tries < 4 else os._exit(0)"""
    assert run_workers([sys.executable, "-c", program], Launch(workers=3), 3, StopRequest()) == 1
    assert {folder.name: len(list(folder.iterdir())) for folder in tmp_path.iterdir()} == {
        "1 of 3": 4,
        "2 of 3": 4,
        "3 of 3": 1,
    }
    said = capsys.readouterr().err
    assert "worker 1/3 killed by SIGKILL; started again (1 of 3 times)" in said
    assert "worker 2/3 killed by SIGTERM; started again (3 of 3 times)" in said


def test_a_worker_that_is_killed_midway_loses_nothing(store: Path) -> None:
    """Its unit is computed by another worker or by its successor, and the run succeeds."""
    process = _start_patched(
        store, "row = lambda *a: (time.sleep(0.7), f(*a))[1]", "run", "ingest", "--launcher", "local", "--workers", "2"
    )
    _wait_for_leases(store, 2)
    victim = json.loads(next(iter(store.glob("leases/ingest/*/*.json"))).read_text())["pid"]
    os.kill(victim, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "killed by SIGKILL; started again (1 of 3 times)" in err
    assert len(list(store.glob("layers/ingest/*/commits/*.json"))) == 3


def test_on_a_terminal_a_table_shows_the_workers(store: Path) -> None:
    """Each worker has a row with its state, unit and rate; a line of a worker is shown above the table."""
    row = "row = lambda *a: (time.sleep(0.6), f(*a))[1]"
    ours, theirs = os.openpty()
    process = _start_patched(store, row, "stage", "run", "ingest", "--workers", "2", stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(ours, 65536):
            shown += data
    os.close(ours)
    assert process.wait(30) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"worker +state +node +unit +done +rate", text)
    assert re.search(r"[12]/2 +running +ingest +[012] +\d/6 images +[\d.]+/s", text)
    assert re.search(r"\[[12]/2\] ingest: [0-9]/6 images in ", text) and '"node"' not in text
