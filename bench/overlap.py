"""A stage whose network takes 40 ms per image, and whose work on the host takes as long, against the sum of both.

Run: ``python -m bench.overlap [--images 128 --batch-size 4 --repeats 3]``. The stage is written as ``proposals`` is,
and the runner computes and commits it. Its network sleeps, as a thread does that waits for another device; its work on
the host encodes masks until 40 ms have passed. So both durations are known, also on a machine that does other work too.
The same stage without a thread behind the network is timed in turns with it, and must commit the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.results import ratios, report, take_turns
from pdstore import Rows, Store, layout
from schemas.base import Settings, operational
from schemas.pipeline import PipelineSpec, SourceSpec
from schemas.tables import OBJECTS
from stages.create.store import create_store
from stages.fitting import finished, fitting
from stages.mask_columns import mask_columns
from stages.plan.project import Project
from stages.registry import STAGES
from stages.run.options import RunOptions
from stages.run.runner import run_node
from stages.stage import Role, Stage
from stages.unit import Output, Setup, Unit

__all__ = ["KnownSettings", "main", "start"]

SECONDS = 0.04
NODES = ("in-turn", "behind")
Pixels = npt.NDArray[np.uint8]


class KnownSettings(Settings):
    """A stage of known duration."""

    batch_size: int = operational(4, ge=1, description="images per batch in the network")
    is_behind: bool = operational(True, description="the work on the host runs in a thread behind the network")


def start(settings: KnownSettings, setup: Setup) -> Callable[[Unit], Output]:
    """The rows of an image are those of a few bars that depend on its number."""

    def compute(ids: list[int], pictures: list[Pixels]) -> list[int]:
        time.sleep(SECONDS * len(pictures))
        return ids

    def run(unit: Unit) -> Output:
        found = fitting(unit, unit.own_block.batches(settings.batch_size, lambda pixels: pixels.shape[:2]), compute)
        rows = (
            finished(unit, found, work_on_host, ahead=settings.batch_size)
            if settings.is_behind
            else ((image_id, work_on_host(image_id, given)) for image_id, given in found)
        )
        return Output(Rows.concat(OBJECTS, [of_image for _, of_image in rows]).sorted("image_id", "object_id"))

    return run


def work_on_host(image_id: int, number: int) -> Rows:
    """Rows of ten masks of 640 x 480 pixels."""
    until = time.perf_counter() + SECONDS
    stack = np.zeros((10, 480, 640), bool)
    for row, mask in enumerate(stack):
        mask[:, (number + row) % 600 :: 17 + row] = True
    columns = mask_columns(stack)
    while time.perf_counter() < until:
        mask_columns(stack)
    columns |= {"image_id": image_id, "object_id": np.arange(10), "score": 1.0, "category_id": 0, "category_name": ""}
    return Rows.filled(OBJECTS, 10, columns)


def make_store(folder: Path, images: int, batch_size: int) -> Store:
    """A store of drawn images that are read, with two nodes that differ in the thread alone."""
    known = Stage(
        name="known",
        doc="a stage of known duration",
        settings=KnownSettings,
        output=OBJECTS,
        entry="bench.overlap",
        inputs={"images": Role(("images",))},
    )
    STAGES[known.name] = known
    nodes = {
        name: {
            "stage": known.name,
            "inputs": {"images": "ingest"},
            "settings": {"batch_size": batch_size, "is_behind": name == "behind"},
        }
        for name in NODES
    }
    source = SourceSpec(kind="demo", root=str(folder / "images"), num_train=images - 1, num_val=1)
    spec = PipelineSpec.parse({"block_size": 1024, "nodes": {"ingest": {}, **nodes}}, "pipeline")
    store = create_store(str(folder / "store"), source, spec)
    run_node(Project.open(store), "ingest")
    return store


def computed(store: Store, name: str, contents: dict[str, str]) -> None:
    """Compute a node anew, and keep the digest of what it commits."""
    store.files.remove_tree(layout.layers(name))
    run_node(Project.open(store), name, RunOptions())
    contents[name] = Project.open(store).layer(name).manifest(0).content


def main() -> None:
    """Print the seconds of both, and how many times faster than the sum the stage is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 128), ("batch-size", 4), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pd-overlap-") as folder:
        store, contents = make_store(Path(folder), options.images, options.batch_size), dict[str, str]()
        work_on_host(0, 0)  # compiles
        times = take_turns({name: partial(computed, store, name, contents) for name in NODES}, options.repeats)
    if len(set(contents.values())) > 1:
        raise SystemExit("both nodes must commit the same, but they do not")
    total = 2 * SECONDS * options.images
    print(f"{options.images} images in batches of {options.batch_size}; network and host need {total:.2f} s in sum")
    for name in NODES:
        print(f"{name}: {', '.join(f'{seconds:.2f}' for seconds in sorted(times[name].wall))} s")
    note = f"(against the bare sum, with decoding and commit beside it: {total / min(times['behind'].wall):.2f})"
    report("overlap", ratios(times["in-turn"].wall, times["behind"].wall), note=note)


if __name__ == "__main__":
    main()
