"""HTTP requests of each command on a store in an object store, by the number of blocks.

Run: ``python -m bench.requests [BLOCKS …]``. A server of S3 (moto) runs in this process and counts what it is
asked for, so that nothing that a client sends is left out: retries and each page of a listing count. Every command is a
new process. Stores have thirteen layers, in the real layout, whose blocks are gathered in the index but
for ``--loose`` of them.

``report`` and blocks of ``crf`` are measured on stores of pictures with parts: those blocks as the requests of a run of
eleven blocks less those of a run of one.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.filled_store import BLOCK_NODES, filled_store
from pdstore import Store, layout
from schemas.pipeline import PipelineSpec, SourceSpec
from stages.create.store import create_store
from stages.plan.project import Project
from stages.plan.shard import Shard
from stages.run.options import RunOptions
from stages.run.runner import run_node

__all__ = ["CountingServer", "blocks_of_crf", "commands", "main", "on_pictures", "store_of_parts", "table_of"]

HERE = Path(__file__).resolve().parents[1]
BUCKET = "bench"
BLOCK_SIZE = 8
COUNT = "SELECT count(*) FROM parts"
MORE_BLOCKS = 10
PICTURES = 3
"""Pictures in a block of the store on which a run is measured."""
SPEC = PipelineSpec.parse(
    {
        "block_size": PICTURES,
        "nodes": {
            "ingest": {},
            "detic": {"inputs": {"images": "ingest"}, "settings": {"backend": "saliency"}},
            "grouping": {"inputs": {"images": "ingest", "objects": "detic"}, "settings": {"backend": "pixels"}},
            "crf": {"inputs": {"images": "ingest", "parts": "grouping"}, "settings": {"iterations": 2}},
        },
    },
    "pipeline",
)
COMMANDS = {
    "status, first": ("status",),
    "status": ("status",),
    "plan": ("plan",),
    "sql, first": ("sql", COUNT),
    "sql": ("sql", COUNT),
    "verify": ("verify",),
}


class CountingServer:
    """A server of S3 on this machine that counts requests by their kind.

    Attributes:
        counts: ``LIST`` (one per page), ``GET``, ``HEAD``, ``PUT``, … -> requests since :meth:`reset`.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from moto.s3.models import s3_backends
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.counts: Counter[str] = Counter()
        self.seen: list[str] = []
        self._lock = threading.Lock()
        self._app = DomainDispatcherApplication(create_backend_app)
        backend = s3_backends["123456789012"]["aws"]
        if BUCKET not in backend.buckets:
            backend.create_bucket(BUCKET, "us-east-1")
        self._server = make_server("127.0.0.1", 0, self._counted, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _counted(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        query, method = environ.get("QUERY_STRING", ""), environ["REQUEST_METHOD"]
        with self._lock:
            self.counts["LIST" if "list-type=" in query else method] += 1
            self.seen.append(f"{method} {environ['PATH_INFO']}{query and '?' + query}")
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def reset(self) -> None:
        """Begin to count at 0."""
        self.counts, self.seen = Counter(), []

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to reach the server."""
        keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "bench")
        return {**keys, "AWS_ENDPOINT_URL": self.url, "AWS_REGION": "us-east-1"}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fill(self, folder: Path, prefix: str) -> None:
        """Put the files of a folder into the bucket, without a request."""
        from moto.s3.models import s3_backends

        backend = s3_backends["123456789012"]["aws"]
        for path in folder.rglob("*"):
            if path.is_file():
                backend.put_object(BUCKET, f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def pd(server: CountingServer, url: str, *words: str, home: Path) -> Counter[str]:
    """The requests of one ``pd``, by their kind.

    Args:
        home: the folder in which it runs and keeps its caches.
    """
    server.reset()
    places = {"PYTHONPATH": str(HERE), "XDG_CACHE_HOME": str(home)}
    command = [sys.executable, "-P", "-m", "cli", "--store", url, *words]
    done = subprocess.run(
        command, cwd=home, env={**os.environ, **server.environment, **places}, capture_output=True, text=True
    )
    if done.returncode and words[0] != "verify":  # the blocks of a filled store lack the files of masks
        raise RuntimeError(f"pd {' '.join(words)} ended with exit code {done.returncode}: {done.stderr}")
    print(f"pd {' '.join(words)}: {_cell(server.counts)}", file=sys.stderr, flush=True)
    return server.counts.copy()


def commands(server: CountingServer, blocks: int, loose: int, chosen: Sequence[str]) -> dict[str, Counter[str]]:
    """Command -> its requests, on a store of ``blocks`` blocks, of which each layer has ``loose`` not in its index."""
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder) / "store", Path(folder) / "home"
        home.mkdir()
        store = filled_store(root, blocks, BLOCK_SIZE)
        hidden = [_hide(store, node, loose) for node in BLOCK_NODES if loose]
        for node in store.nodes():
            for layer in store.layers(node):
                layer.compact(everything=True)
        for away in hidden:
            for path, data in away.items():
                path.write_bytes(data)
        prefix = f"store-{blocks}-{loose}"
        server.fill(root, prefix)
        url = f"s3://{BUCKET}/{prefix}"
        # By another user, whose caches the commands do not have. It also tells readers what is in the store.
        (Path(folder) / "other").mkdir()
        pd(server, url, "compact", home=Path(folder) / "other")
        return {name: pd(server, url, *COMMANDS[name], home=home) for name in chosen}


def _hide(store: Store, node: str, count: int) -> dict[Path, bytes]:
    """Take the last manifests of a layer away, so that they are not gathered. Returns them."""
    layer = store.layers(node)[0]
    paths = [store.files.local(layout.commit(node, layer.fingerprint, unit)) for unit in layer.units()[-count:]]
    held = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    return held


def on_pictures(server: CountingServer, blocks: int) -> dict[str, Counter[str]]:
    """``pd report``, and ten blocks of ``crf`` more than one, on a store of pictures with parts; all files are real."""
    url = f"s3://{BUCKET}/pictures-{blocks}"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        store_of_parts(url, Path(folder), blocks)
        more = blocks_of_crf(server, url, MORE_BLOCKS)
        run_node(Project.open(Store(url)), "crf")
        report = pd(server, url, "report", "--out", f"{folder}/report.html", home=home)
    return {"report": report, f"{MORE_BLOCKS} blocks of crf": more}


def store_of_parts(url: str, folder: Path, blocks: int) -> None:
    """A store of pictures, which are drawn in ``folder``, with their parts."""
    _draw_pictures(folder / "images" / "all", blocks * PICTURES)
    store = create_store(url, SourceSpec(kind="folder", root=f"{folder}/images"), SPEC)
    for name in ("ingest", "detic", "grouping"):
        run_node(Project.open(store), name)


def blocks_of_crf(server: CountingServer, url: str, more: int) -> Counter[str]:
    """The requests of ``more`` blocks: those of a run of one block more, less those of a run of one."""
    found = []
    for limit in (1, 1 + more):
        server.reset()
        run_node(Project.open(Store(url)), "crf", RunOptions(limit=limit, shard=Shard(1, 1)))
        found.append(server.counts.copy())
    return found[1] - found[0]


def _draw_pictures(folder: Path, count: int) -> None:
    """Two discs of two colours each on noise, so that there is something to find and to divide."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    y, x = np.mgrid[:64, :64]
    for number in range(count):
        picture = rng.integers(0, 40, (64, 64, 3), np.uint8)
        picture[(y - 32) ** 2 + (x - 32) ** 2 < 400] = (220, 40, 40)
        picture[((y - 32) ** 2 + (x - 32) ** 2 < 400) & (x > 32)] = (40, 220, 220)
        Image.fromarray(picture).save(folder / f"{number:04d}.png")


def table_of(rows: Mapping[str, Mapping[str, Counter[str]]]) -> str:
    """A Markdown table: one row per command, one column per store."""
    columns = list(rows)
    lines = [f"| command | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name in dict.fromkeys(name for found in rows.values() for name in found):
        cells = [_cell(rows[column].get(name)) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(counts: Counter[str] | None) -> str:
    if counts is None:
        return "–"
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{counts.total():,} ({kinds})"


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blocks", nargs="*", type=int, default=[10, 100, 1000])
    parser.add_argument("--loose", type=int, default=0, help="blocks per layer that the index does not hold")
    parser.add_argument("--only", nargs="*", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--pictures", nargs="*", type=int, default=[16, 48], help="blocks of the stores of pictures")
    options = parser.parse_args(words)
    server = CountingServer()
    os.environ.update(server.environment)
    found = {f"{n} blocks": commands(server, n, options.loose, options.only) for n in options.blocks}
    print(table_of(found))
    print(table_of({f"{n} blocks of pictures": on_pictures(server, n) for n in options.pictures}))
    server.close()


if __name__ == "__main__":
    main()
