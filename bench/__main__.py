"""Run the benchmarks whose figures have a bound, and write ``bench/out/results.json``: one entry per figure.

Run: ``python -m bench [NAME …]``, such as ``python -m bench run_lengths``; without a name, all of :data:`SUITE`. Each
runs in a process of its own. Figures of benchmarks that did not run now are kept from before. The exit code is 1 if a
benchmark failed, or a figure misses its bound.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.page import table, write_page
from bench.results import RESULTS
from bench.targets import TARGETS

__all__ = ["OUT", "SUITE", "main"]

OUT = Path(__file__).parent / "out"
"""Where results, plots and stores that are kept between runs lie; git ignores it."""
SUITE = {
    "peers": ("--repeats", "5", "--writes", "3"),
    "device_masks": ("--repeats", "3"),
    "overlap": ("--repeats", "3"),
    "loader": ("--images", "96", "--rounds", "3", "--rows"),
    "catalog": ("--repeats", "3"),
    "view": ("--repeats", "5"),
    "crf": ("--spots", "1", "--repeats", "1", "--images", "24"),
    "run_lengths": ("--repeats", "5"),
    "ranking_passes": (),
    "startup": ("--repeats", "3"),
    "grouping": ("--repeats", "3", "--pictures", "0"),
}
"""Benchmark -> its arguments."""


def run(names: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """What the benchmarks reported, and the names of those that failed."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        path.touch()
        for name in names:
            print(f"== bench.{name}", flush=True)
            started = time.monotonic()
            command = [sys.executable, "-m", f"bench.{name}", *SUITE[name]]
            if subprocess.run(command, check=False, env={**os.environ, RESULTS: str(path)}).returncode:
                failed.append(name)
            print(f"== {time.monotonic() - started:.0f} s\n", flush=True)
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()], failed


def merged(found: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """What was found now and what ``path`` holds from before, in the order of the targets."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    rows = {row["name"]: row for row in (*before, *found)}
    return [rows[name] for name in TARGETS if name in rows]


def main() -> int:
    """Run the suite, write its results and print them as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *SUITE], help=", ".join(SUITE))
    parser.add_argument("--page", action="store_true", help="also write the table and a plot into docs/measurements.md")
    options = parser.parse_args()
    found, failed = run(options.names or list(SUITE))
    OUT.mkdir(exist_ok=True)
    path = OUT / "results.json"
    rows = merged(found, path)
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))
    if options.page:
        write_page(rows)
    for name in failed:
        print(f"bench.{name} failed", file=sys.stderr)
    for name in TARGETS.keys() - {row["name"] for row in rows}:
        print(f"{name} was not measured", file=sys.stderr)
    return int(bool(failed) or not all(row["ok"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
