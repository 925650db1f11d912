"""A real Slurm of two nodes on this machine, which the tests start and end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import SIZE_PX, Pd, draw

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1
MpiDefault=none
KillWait=10
ReturnToService=2
PartitionName=all Nodes=ALL Default=YES State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 State=UNKNOWN\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a running Slurm."""
    os.environ["PATH"] += f"{os.pathsep}/usr/sbin"
    if lacking := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"Slurm is not installed: no {', '.join(lacking)} (apt-get install slurm-wlm munge)")
    folder, started = tmp_path_factory.mktemp("slurm"), []
    try:
        started.append(_start_munge(folder))
        configuration = _configure(folder)
        os.environ["SLURM_CONF"] = str(configuration)
        for words in (["slurmctld"], ["slurmd", "-N", "one"], ["slurmd", "-N", "two"]):
            started.append(
                subprocess.Popen(
                    [*words, "-D", "-f", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
        _wait_for_nodes(folder)
        yield configuration
    finally:
        os.environ.pop("SLURM_CONF", None)
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in reversed(started):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _start_munge(folder: Path) -> subprocess.Popen[bytes]:
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    words = [f"--{option}={folder}/munge.{end}" for option, end in files.items()]
    return subprocess.Popen(
        ["munged", "--foreground", "--force", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _configure(folder: Path) -> Path:
    (folder / "state").mkdir()
    host, user = socket.gethostname().split(".")[0], os.environ.get("USER") or "root"
    ports = [_free_port() for _ in range(3)]
    text = CONFIGURATION.format(host=host, user=user, folder=folder, port=ports[0])
    nodes = "".join(
        NODE.format(name=name, host=host, port=port) for name, port in zip(("one", "two"), ports[1:], strict=True)
    )
    (folder / "slurm.conf").write_text(text.replace("PartitionName", f"{nodes}PartitionName"))
    return folder / "slurm.conf"


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for_nodes(folder: Path) -> None:
    for _ in range(150):
        listed = subprocess.run(["sinfo", "--noheader", "--format=%T %D"], capture_output=True, text=True, check=False)
        if listed.stdout.split() == ["idle", "2"]:
            return
        time.sleep(0.2)
    logs = "\n".join(path.read_text()[-1000:] for path in folder.glob("*.log"))
    pytest.skip(f"Slurm is installed here but does not start: {listed.stderr}{logs}")


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s\n{logs()}"
        time.sleep(0.1)


def logs() -> str:
    """The logs of all jobs that were submitted in the current folder."""
    return "\n".join(f"{path}:\n{path.read_text()}" for path in sorted(Path().glob("pd-*.log")))


def done(pd: Pd, node: str) -> list[int]:
    """The committed units of a node."""
    units: list[int] = json.loads(pd("status", "--json").out)["nodes"][node]["done"]
    return units


PIPELINE = """
block_size: 2
nodes:
  ingest: {}
  truth-parts: {stage: annotated-parts, inputs: {images: ingest}, settings: {file: "{images}/truth.json"}}
  truth-objects: {stage: annotated-objects, inputs: {images: ingest}, settings: {file: "{images}/truth.json"}}
"""


@pytest.fixture
def small(pd: Pd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of six pictures in three blocks whose stages load no network library. PD_STORE names it."""
    photos, store = tmp_path / "photos", tmp_path / "store"
    keys = [f"{'val' if number > 3 else 'train'}/n00000001/{number}.JPEG" for number in range(6)]
    for number, key in enumerate(keys):
        draw(photos / key, number)
    polygons = {"Disc top": [8, 10, 34, 10, 34, 23, 8, 23], "Disc bottom": [8, 23, 34, 23, 34, 36, 8, 36]}
    truth = {
        "images": [{"id": i, "file_name": key, "height": SIZE_PX, "width": SIZE_PX} for i, key in enumerate(keys)],
        "categories": [{"id": c, "name": name, "supercategory": "Disc"} for c, name in enumerate(polygons)],
        "annotations": [
            {"image_id": i, "category_id": c, "segmentation": [polygon]}
            for i in range(len(keys))
            for c, polygon in enumerate(polygons.values())
        ],
    }
    (photos / "truth.json").write_text(json.dumps(truth))
    (photos / "labels.txt").write_text("n00000001,disc\n")
    (tmp_path / "small.yaml").write_text(PIPELINE)
    assert pd("init", store, "--images", photos, "--preset", tmp_path / "small.yaml").code == 0
    monkeypatch.setenv("PD_STORE", str(store))
    return store
