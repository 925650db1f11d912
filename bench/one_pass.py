"""Objects and people: two nodes of one detector, each in a run of its own and both in one pass.

Run: ``python -m bench.one_pass [--images 48 --long-side 320 --repeats 3]``. The images are drawn; the detector is a
Mask2Former on a Swin-T (``--small``: on the demo's little ResNet) with random weights, on the GPU if there is one. Each
repeat computes both nodes both ways, one right after the other, and compares what is committed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pdstore import Rows, Store, layout
from schemas.pipeline import PipelineSpec, SourceSpec
from schemas.training import NetworkSettings
from stages.create.store import create_store
from stages.plan.project import Project
from stages.run.options import RunOptions
from stages.run.runner import run_node, run_pass

__all__ = ["main"]

NODES = ("detic", "detic-human")
OPTIONS = RunOptions(max_error_rate=1.0)
SWIN_T = NetworkSettings(
    backbone="swin", embedding_size=96, hidden_sizes=(96, 192, 384, 768), depths=(2, 2, 6, 2), num_queries=50
)


def make_store(folder: Path, images: int, long_side: int, network: NetworkSettings) -> Store:
    """A store of drawn images that are read, with a segmenter of random weights that knows people."""
    from stages.models.network import build
    from stages.models.network_files import network_files

    shared = {"backend": "tiny", "long_side": long_side, "batch_size": 8}
    inputs = {"images": "ingest", "model": "segmenter"}
    nodes = {
        "ingest": {},
        "truth": {
            "stage": "annotated-objects",
            "inputs": {"images": "ingest"},
            "settings": {"file": "{images}/a.json"},
        },
        "segmenter": {"stage": "segmenter-train", "inputs": {"images": "ingest", "objects": "truth"}},
        "detic": {"stage": "detic", "inputs": inputs, "settings": shared},
        "detic-human": {"stage": "detic", "inputs": inputs, "settings": {**shared, "mode": "human-only"}},
    }
    source = SourceSpec(kind="demo", root=str(folder / "images"), num_train=images - 1, num_val=1)
    spec = PipelineSpec.parse({"block_size": 16, "nodes": nodes}, "pipeline")
    store = create_store(str(folder / "store"), source, spec)
    project = Project.open(store)
    run_node(project, "ingest")
    node, names = project["segmenter"], [found.name for found in project.listing.classes()]
    layer = store.declare(node.name, node.identity, node.stage.output, "bench")
    files = network_files(build(network, len(names) + 1, seed=0), [*names, "human"])
    layer.commit(0, Rows.from_records(layer.table, []), extra=files)
    return store


def apart(store: Store) -> None:
    """Each node in a run of its own."""
    for name in NODES:
        run_node(Project.open(store), name, OPTIONS)


def together(store: Store) -> None:
    """Both nodes in one pass."""
    run_pass(Project.open(store), NODES, OPTIONS)


def measured(store: Store, work: Callable[[Store], None]) -> tuple[float, float, list[str]]:
    """Seconds, seconds of processor time, and the digests of what both nodes have committed, which is removed."""
    started, used = time.perf_counter(), time.process_time()
    work(store)
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    layers = [Project.open(store).layer(name) for name in NODES]
    contents = [layer.manifest(unit).content for layer in layers for unit in layer.units()]
    for name in NODES:
        store.files.remove_tree(layout.layers(name))
    return seconds, processor, contents


def main() -> None:
    """Print the seconds of each repeat and both ways, and their ratios. Processor time is disturbed less by others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--long-side", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network = NetworkSettings() if given.small else SWIN_T
        store = make_store(Path(folder), given.images, given.long_side, network)
        for repeat in range(given.repeats):
            (two, two_cpu, first), (one, one_cpu, second) = (measured(store, work) for work in (apart, together))
            assert first == second, "one pass commits the same bytes as two"
            wall = f"two runs {two:.1f} s, one pass {one:.1f} s, {two / one:.2f} times as fast"
            processor = f"processor time {two_cpu:.1f} s and {one_cpu:.1f} s, {two_cpu / one_cpu:.2f} times"
            print(f"repeat {repeat + 1}: {wall}; {processor}", flush=True)


if __name__ == "__main__":
    main()
