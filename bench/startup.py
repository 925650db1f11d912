"""Processor time of the verbs that only look: how long ``pd`` takes to start.

Run: ``python -m bench.startup [--against FOLDER] [--images 256 --block-size 16 --repeats 7]``.
A store of drawn images is made with the pipeline of the demo; every node commits empty rows for every unit, so that
there are as many manifests as in a real store. Each command then runs in a process of its own, from a warm page cache.
With ``--against``, the program in another folder (a git worktree) runs the same commands in turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.results import report
from pdstore import Rows, Store
from schemas.pipeline import SourceSpec
from stages.create.store import create_store
from stages.plan.inputs import Inputs
from stages.plan.presets import read_preset
from stages.plan.project import Project

__all__ = ["main"]

HERE = Path(__file__).resolve().parents[1]
COMMANDS = (
    ("--help",),
    ("status",),
    ("status", "--json"),
    ("plan",),
    ("sql", "SELECT 1 AS one"),
)


def drawn_store(folder: Path, images: int, block_size: int) -> Store:
    """A store of drawn images in which every node is done."""
    spec = read_preset("demo").model_copy(update={"block_size": block_size})
    source = SourceSpec(kind="demo", root=str(folder / "images"), num_train=images // 2, num_val=images - images // 2)
    store = create_store(str(folder / "store"), source, spec)
    project = Project.open(store)
    for name, node in project.nodes.items():
        layer = store.declare(name, node.identity, node.stage.output, "bench")
        inputs = Inputs(project, name)
        for unit in range(project.num_units(name)):
            layer.commit(unit, Rows.empty(node.stage.output), inputs=inputs.content_of(unit))
    return store


def cpu_s(program: Path, store: str, words: Sequence[str]) -> float:
    """User and system time of one ``pd``, in seconds."""
    command = [sys.executable, "-P", "-m", "cli", "--store", store, *words]
    environment = {**os.environ, "PYTHONPATH": str(program)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"pd {' '.join(words)} ended with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print one line per command and program: the median, the least and the most seconds of processor time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 256), ("block-size", 16), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--against", type=Path, help="folder of another version of the program")
    options = parser.parse_args()
    programs = {"here": HERE} | ({"against": options.against.resolve()} if options.against else {})
    with tempfile.TemporaryDirectory() as folder:
        store = drawn_store(Path(folder), options.images, options.block_size)
        commits = len(list((Path(folder) / "store").rglob("commits/*.json")))
        print(f"{options.images} images, {len(Project.open(store).nodes)} nodes, {commits} manifests")
        for words in COMMANDS:
            times: dict[str, list[float]] = {name: [] for name in programs}
            for repeat in range(options.repeats + 1):
                for name, program in programs.items():
                    seconds = cpu_s(program, store.url, words)
                    if repeat:  # the first one warms the page cache
                        times[name].append(seconds)
            medians = {name: statistics.median(listed) for name, listed in times.items()}
            line = "  ".join(f"{n} {medians[n]:.3f} s ({min(t):.3f} to {max(t):.3f})" for n, t in times.items())
            ratio = f"  ratio {medians['against'] / medians['here']:.2f}" if options.against else ""
            print(f"pd {' '.join(words):20}{line}{ratio}", flush=True)
            if words == ("status",):
                report("startup.status", times["here"])


if __name__ == "__main__":
    main()
