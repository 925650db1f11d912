"""Workers on this machine and on Slurm."""

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
from cli.launchers.slurm import slurm_script
from cli.launchers.torchrun import run_ranks
from cli.options import Launch
from pdstore.errors import PdError
from stages.run.signals import StopRequest
from tests.cli.conftest import Pd

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _workers_find_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run ``python -m cli``, also where the program is not installed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_workers_share_the_units(pd: Pd, store: Path) -> None:
    """Three processes compute three blocks, each block once, and the table is that of one process."""
    assert pd("stage", "run", "ingest", "--workers", "3").code == 0
    state = json.loads(pd("status", "--json").out)["nodes"]["ingest"]
    assert state["done"] == [0, 1, 2]
    assert pd("sql", "SELECT count(*) FROM images", "--format", "csv").out.splitlines()[1] == "6"
    assert "done already" in pd("stage", "run", "ingest", "--workers", "3").err


def test_workers_take_overrides_as_a_new_layer(pd: Pd, store: Path) -> None:
    """`pd run --workers` records the settings once and waits for all units."""
    pd("run", "--until", "detic")
    assert pd("run", "detic", "detic.min_score=0.01", "--new-layer", "--workers", "2").code == 0
    state = json.loads(pd("status", "--json").out)["nodes"]["detic"]
    assert state["done"] == [0, 1, 2] and len(state["other"]) == 1


def test_an_error_before_the_start_is_said_once(pd: Pd, store: Path) -> None:
    """A missing input or a stale setting starts no worker."""
    result = pd("stage", "run", "detic", "--workers", "3")
    assert result.code == 1 and result.err.count("error: ") == 1 and "pd stage run ingest" in result.err


def test_the_worst_exit_code_counts(pd: Pd, store: Path, photos: Path) -> None:
    """Every image went away: each worker fails, and so does the launcher."""
    shutil.rmtree(photos)
    assert pd("stage", "run", "ingest", "--workers", "2").code == 1


def test_some_units_failed_whichever_worker_had_them(store: Path) -> None:
    """The worker with the bad block ends first, when nothing is committed yet: the run has partly failed."""
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
    """It cannot say so itself; whatever the others say, the run has failed."""
    program = f"""import os
code = {codes}[os.environ["PD_WORKER"] == "2/2"]
os.kill(os.getpid(), -code) if code < 0 else os._exit(code)"""
    with pytest.raises(PdError, match=r"workers: .*2/2 killed by SIGKILL.*fewer --workers") as caught:
        run_workers([sys.executable, "-c", program], Launch(workers=2), 2, StopRequest())
    assert caught.value.exit_code == 1 and ("1/2" in str(caught.value)) == (codes[0] == -9)


def test_a_rank_that_was_killed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker; a rank that fails by itself has said why, and its exit code counts."""
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    program = "import os, time; time.sleep(60) if os.environ['RANK'] == '0' else {}"
    kill, leave = (program.format(end) for end in ("os.kill(os.getpid(), 9)", "os._exit(3)"))
    with pytest.raises(PdError, match=r"ranks: .*rank 1 killed by SIGKILL.*fewer ranks") as caught:
        run_ranks([sys.executable, "-c", kill], 2, on_gpus=False)
    assert caught.value.exit_code == 1
    assert run_ranks([sys.executable, "-c", leave], 2, on_gpus=False) == 3


def test_too_few_gpus(pd: Pd, store: Path) -> None:
    """The error says how many there are."""
    result = pd("stage", "run", "ingest", "--gpus", "99")
    assert result.code == 2 and "expected 99 GPUs" in result.err


def test_sigterm_reaches_the_workers(store: Path) -> None:
    """The launcher hands the signal on, the workers stop after the image, and all end with 75."""
    row = "row = lambda *a: (time.sleep(1), f(*a))[1]"
    process = _start_patched(store, row, "stage", "run", "ingest", "--workers", "2")
    _wait_for_leases(store, 2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "Traceback" not in err and "Run the same command again" in err
    assert not list(store.glob("layers/ingest/*/commits/*.json"))


def test_the_slurm_script_is_an_array_of_shards(pd: Pd, store: Path) -> None:
    """--dry-run prints the script: one shard a task, GPUs as gres, a signal a minute before the end."""
    words = ("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "10", "--gpus", "2", "--dry-run")
    script = pd(*words, "--slurm-arg=--partition=gpu", "ingest.max_pixels=99999").out
    assert script.startswith("#!/bin/bash\n")
    for line in ("--array=1-10", "--gres=gpu:2", "--signal=B:USR1@60", "--partition=gpu", "--job-name=pd-ingest"):
        assert f"#SBATCH {line}\n" in script
    assert script.splitlines()[-1].startswith("exec ") and '--shard "$SLURM_ARRAY_TASK_ID/10"' in script
    assert "ingest.max_pixels=99999" in script and str(store) in script


def test_words_are_quoted_in_the_slurm_script(tmp_path: Path) -> None:
    """A path with a space stays one word."""
    script = slurm_script(["pd", "--store", "my store"], "crf", Launch("slurm", jobs=2), tmp_path)
    assert "exec pd --store 'my store' --shard" in script


def test_slurm_without_sbatch(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the alternative."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = pd("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "2")
    assert result.code == 2 and "expected the command sbatch, found none" in result.err and "--workers N" in result.err


def test_sbatch_that_refuses(pd: Pd, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What sbatch says is in the error; what it takes gives the job's id on stdout."""
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    monkeypatch.setenv("PATH", f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}")
    for body, code in (("echo no such partition >&2; exit 1", 1), ("echo '77;cluster'", 0)):
        sbatch.write_text(f"#!/bin/sh\n{body}\n")
        sbatch.chmod(0o755)
        result = pd("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "2")
        assert result.code == code
        assert "no such partition" in result.err if code else result.out == "77\n"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("sbatch") is None, reason="needs a Slurm")
def test_a_real_array_job(pd: Pd, store: Path) -> None:
    """Three tasks of a real Slurm compute the three blocks."""
    if subprocess.run(["sinfo"], capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("Slurm is installed here but does not run")
    assert pd("stage", "run", "ingest", "--launcher", "slurm", "--jobs", "3", "--slurm-arg=--time=5").code == 0
    for _ in range(120):
        if json.loads(pd("status", "--json").out)["nodes"]["ingest"]["done"] == [0, 1, 2]:
            return
        time.sleep(1)
    raise AssertionError("\n".join(path.read_text() for path in Path().glob("pd-ingest-*.log")))


def _start_patched(store: Path, row: str, *words: str) -> subprocess.Popen[str]:
    """``pd`` in a process of its own, where ``row`` stands in place of ingest's function ``f``."""
    folder = store.parent / "site"
    folder.mkdir(exist_ok=True)
    # Workers are plain `python -m cli`: what changes them must come from their start-up.
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
