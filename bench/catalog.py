"""``pd status`` and ``pd sql`` on a store of 14,000 blocks in twelve layers: seconds of a new process, and its memory.

Run: ``python -m bench.catalog [--blocks 14000 --repeats 3]``. The store is written once, and kept in ``bench/out``; its
layers are gathered as workers leave them that have finished them. Every process is new, and the page cache is warm.
A figure is the processor time of the process, with the time that passed beside it.

Two queries are also run against DuckDB on one plain Parquet file with the same rows, in turns, in this process: both
must give the same answer. ``growth`` runs one stage over empty blocks, so that what is measured is claims, listings and
commits: the same number of units in a small store and in one of ``--blocks`` blocks, of which all others are committed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import duckdb

from bench.filled_store import filled_store
from bench.results import report, take_turns
from pdstore import Store, layout
from pdstore.commit import commit_attempt
from pdstore.sql.quoting import quoted
from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.runner import run_node

__all__ = ["main"]

HERE = Path(__file__).resolve().parents[1]
OUT = Path(__file__).parent / "out"
BLOCK_SIZE = 64
TABLE = "parts"
COUNT = "SELECT count(*) FROM {}"
GROUP = "SELECT category_id, count(*), avg(score), quantile_cont(area, 0.5) FROM {} GROUP BY ALL ORDER BY category_id"
NODE, UNITS = "crf", 64
"""The node that ``growth`` runs, and how many units of it."""
SMALL = 10 + UNITS


def kept_store(blocks: int) -> Store:
    """The store, which is written and gathered if it is not there yet."""
    root = OUT / f"store-{blocks}"
    done = root / "gathered"
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        OUT.mkdir(exist_ok=True)
        started = time.monotonic()
        store = filled_store(root, blocks, BLOCK_SIZE)
        print(f"writing the store: {time.monotonic() - started:.0f} s", flush=True)
        for node in store.nodes():
            for layer in store.layers(node):
                layer.compact(everything=True)
        print(f"with its index: {time.monotonic() - started:.0f} s", flush=True)
        done.touch()
    return Store(str(root))


def process(store: Store, *words: str) -> tuple[float, float, float]:
    """Processor seconds, seconds that passed, and peak memory in MB of one ``pd``."""
    command = [sys.executable, "-P", "-m", "cli", "--store", store.url, *words]
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(HERE)})
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"pd {' '.join(words)} ended with exit code {child.returncode}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def commit_again(store: Store, node: str, unit: int = 0) -> None:
    """Withdraw a unit and commit the same files again, which is what a run does to the catalog."""
    layer = store.layer(node, store.current()[node])
    manifest = layer.manifest(unit)
    source = store.files.local(manifest.folder)
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    layer.withdraw(unit)
    commit_attempt(
        store.files,
        node,
        layer.fingerprint,
        unit,
        files,
        rows=manifest.rows,
        inputs=manifest.inputs,
        started=time.time(),
    )


def processes(store: Store, repeats: int) -> None:
    """``pd status``, the first and a second ``pd sql``, and one after a commit."""
    query, catalog = COUNT.format(TABLE), store.files.local(layout.CATALOG)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for repeat in range(repeats + 1):
        turn = {"status": process(store, "status")}
        catalog.unlink(missing_ok=True)
        turn["first sql"] = process(store, "sql", query)
        turn["second sql"] = process(store, "sql", query)
        commit_again(store, NODE)
        turn["sql after a commit"] = process(store, "sql", query)
        turn["group by"] = process(store, "sql", GROUP.format(TABLE))
        for name, values in turn.items() if repeat else ():  # the first turn warms the page cache
            found.setdefault(name, []).append(values)
    for name, rows in found.items():
        cpu, wall, memory = (median(column) for column in zip(*rows, strict=True))
        print(f"pd, {name}: {cpu:.2f} s of a processor, {wall:.2f} s, {memory:.0f} MB", flush=True)
    figures = {"status.14000": "status", "sql.open.14000": "first sql", "sql.after_commit.14000": "sql after a commit"}
    for figure, name in figures.items():
        report(figure, [row[0] for row in found[name]], [row[1] for row in found[name]], "processor time")
    report("sql.memory.14000", [max(rows[i][2] for rows in found.values()) for i in range(repeats)], note="of all five")


def queries(store: Store, repeats: int, *, is_gathered: bool) -> None:
    """The two queries on the store, and on one Parquet file with the same rows.

    Args:
        is_gathered: no unit was committed again since the rows were gathered: each of those has to be left out, by a
            condition on all rows of its file, until ``pd compact``.
    """
    plain = store.files.local("plain.parquet")
    with contextlib.closing(catalog_of(store).connect()) as ours, duckdb.connect() as theirs:
        if not plain.exists() or plain.stat().st_mtime < store.files.local("gathered").stat().st_mtime:
            theirs.register("frame", ours.sql(f"FROM {TABLE}").to_arrow_reader(122_880))
            theirs.execute(f"COPY frame TO {quoted(str(plain))} (FORMAT parquet, COMPRESSION zstd)")
            theirs.unregister("frame")
        one = f"read_parquet({quoted(str(plain))})"
        for name, query in (("sql.count.14000", COUNT), ("sql.groupby.14000", GROUP)):
            if ours.execute(query.format(TABLE)).fetchall() != theirs.execute(query.format(one)).fetchall():
                raise AssertionError(f"{query} differs from the same on one file")
            ways = {
                "ours": partial(_fetch, ours, query.format(TABLE)),
                "one file": partial(_fetch, theirs, query.format(one)),
            }
            times = take_turns(ways, 5 * repeats)
            for way, taken in times.items():
                print(f"{query.format(way)}: {1e3 * median(taken.cpu):.1f} ms of a processor", flush=True)
            cpu = [a / b for a, b in zip(times["ours"].cpu, times["one file"].cpu, strict=True)]
            wall = [a / b for a, b in zip(times["ours"].wall, times["one file"].wall, strict=True)]
            if is_gathered:
                report(name, cpu, wall)
            else:
                print(f"after a unit was committed again: {median(cpu):.2f} x", flush=True)


def _fetch(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    connection.execute(query).fetchall()


def growth(blocks: int, repeats: int) -> None:
    """Cost per unit of a run, in a store of ten blocks more than the run computes and in one of ``blocks``."""
    stores = {}
    for size in (SMALL, blocks):
        root = OUT / f"growth-{size}"
        shutil.rmtree(root, ignore_errors=True)
        nodes = {name: 0 for name in ("ingest", "detic", "grouping")} | {NODE: UNITS}
        stores[size] = filled_store(root, size, BLOCK_SIZE, nodes)
        Project.open(stores[size]).layer(NODE).compact(everything=True)
    _measure_growth(stores, repeats)


def _measure_growth(stores: dict[int, Store], repeats: int) -> None:
    """Runs of one unit and of many, which never complete the layer: gathering a complete one is measured apart."""
    cost: dict[int, list[tuple[float, float]]] = {size: [] for size in stores}
    for repeat in range(repeats + 1):
        for size, store in stores.items():
            project = Project.open(Store(store.url))
            layer = project.layer(NODE)
            before = set(layer.units())
            one, many = _run(project, 1), _run(project, UNITS - 2)
            for unit in set(layer.units()) - before:
                layer.withdraw(unit)
            # What a run does once, such as planning, is shared by all blocks of the store.
            each = [(m - o) / (UNITS - 3) for m, o in zip(many, one, strict=True)]
            if repeat:
                cost[size].append((each[0] + one[0] / size, each[1] + one[1] / size))
    for size, values in cost.items():
        print(f"{size} blocks: {1e3 * median(cpu for cpu, _ in values):.2f} ms of a processor per unit", flush=True)
    small, large = cost.values()
    both = list(zip(large, small, strict=True))
    report("growth", [a[0] / b[0] for a, b in both], [a[1] / b[1] for a, b in both])


def _run(project: Project, limit: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run_node(project, NODE, RunOptions(limit=limit))
    return time.process_time() - cpu, time.perf_counter() - wall


def main(words: Sequence[str] | None = None) -> None:
    """Print and report all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=14_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(words)
    store = kept_store(options.blocks)
    # Processes first: the peak memory of one is at least what this program had when it was started.
    processes(store, options.repeats)
    store.layer(NODE, store.current()[NODE]).compact(everything=True)
    queries(store, options.repeats, is_gathered=True)
    commit_again(store, NODE)
    queries(store, options.repeats, is_gathered=False)
    growth(options.blocks, options.repeats)


if __name__ == "__main__":
    main()
