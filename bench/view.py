"""``pd view`` on 1.28 million images: milliseconds of a first and of a next page, and the memory of the server.

Run: ``python -m bench.view [--images 1280000 --repeats 5]``. The store is written once, and kept in ``bench/out``. The
server is a process of its own, as a user starts it. Each request is a new one on the loopback; what is printed is the
time until its last byte, median and highest. ``first`` is the first request of that kind, with nothing kept;
``next`` are the pages after it, of which there are enough to leave what the first query has fetched.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from html import unescape
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from bench.filled_store import filled_store
from bench.results import report
from pdstore import Store

__all__ = ["main"]

HERE = Path(__file__).resolve().parents[1]
OUT = Path(__file__).parent / "out"
BLOCK_SIZE = 512
GALLERIES = {
    "all images": {},
    "one class": {"where": "class_name = 'class_name-7'"},
    "by key, falling": {"sort": "key", "order": "desc"},
    "by width": {"sort": "width"},
    "a part with a score": {"where": "image_id IN (SELECT image_id FROM parts WHERE score > 0.999 AND node = 'crf')"},
    "by mean score": {"sort": "mean_score", "order": "desc", "node": "crf"},
    "many masks": {"where": "masks >= 4 AND best_score < 0.3", "node": "crf"},
}
"""What is asked for. All but the last two are pages that a person opens first."""
PLAIN = tuple(GALLERIES)[:5]


def kept_store(images: int) -> Store:
    """The store, which is written and gathered if it is not there yet."""
    root = OUT / f"view-{images}"
    done = root / "gathered"
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        OUT.mkdir(exist_ok=True)
        started = time.monotonic()
        store = filled_store(root, images // BLOCK_SIZE, BLOCK_SIZE)
        for node in store.nodes():
            for layer in store.layers(node):
                layer.compact(everything=True)
        print(f"writing the store: {time.monotonic() - started:.0f} s", flush=True)
        done.touch()
    return Store(str(root))


def fetch(url: str) -> tuple[float, str]:
    """Milliseconds, and the text."""
    started = time.perf_counter()
    with urllib.request.urlopen(url, timeout=120) as answer:
        text = answer.read().decode()
    return 1000 * (time.perf_counter() - started), text


def measure(address: str, query: dict[str, str], repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds of the first page, the first time at the front, and of the pages after it."""
    firsts, nexts = [], []
    for _ in range(repeats + 1):
        taken, text = fetch(f"{address}?{urlencode(query)}")
        firsts.append(taken)
    for _ in range(5 * repeats):
        link = re.search(r'hx-get="/([^"]+)"', text)
        if link is None:
            break
        taken, text = fetch(address + unescape(link[1]))
        nexts.append(taken)
    return firsts, nexts


def peak_megabytes(pid: int) -> float:
    """Peak memory of a process."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_280_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    store = kept_store(options.images)
    command = [sys.executable, "-P", "-m", "cli", "--store", store.url, "view", "--port", "0", "--no-open"]
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    print(f"until the address is printed: {time.perf_counter() - started:.1f} s", flush=True)
    try:
        found = {name: measure(address, query, options.repeats) for name, query in GALLERIES.items()}
        memory = peak_megabytes(server.pid)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
    for name, (firsts, nexts) in found.items():
        first, *again = firsts
        after = f"next {median(nexts):.0f} ms, at most {max(nexts):.0f}" if nexts else "no next page"
        print(f"{name}: first {first:.0f} ms, again {median(again):.0f} ms, {after}", flush=True)
    print(f"peak memory of the server: {memory:.0f} MB")
    report("view.first.1280000", [found[name][0][0] for name in PLAIN], note="first requests of five galleries")
    report("view.next.1280000", [taken for name in PLAIN for taken in found[name][1]], note="pages after them")
    report("view.memory.1280000", [memory])


if __name__ == "__main__":
    main()
