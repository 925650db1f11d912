"""A stage whose network starts thousands of small kernels per batch, against the slower of network and host work.

Run: ``python -m bench.launches [--images 64 --batch-size 8 --repeats 3]``. The stage is ``proposals`` with another
network: it makes as many calls of torch as a Swin-L does, each of which gives Python's lock away and takes it again,
and its device is a clock, which is busy for a known time after each call. Whoever wants its result sleeps until that
time has come, as with a GPU. All else is what ``proposals`` does: pictures of 640 x 480 are decoded in threads, the
places at which masks change become runs, and rows are encoded in the thread behind and committed by the runner.

Alone, the network has its pictures at hand and nobody uses what it gives; the host has what the network gives at hand.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from bench.loader import picture
from bench.results import ratios, take_turns
from pdstore import Rows, Store, layout, runs
from schemas.base import Settings, operational
from schemas.pipeline import PipelineSpec, SourceSpec
from schemas.stages import ProposalsSettings
from schemas.tables import PROPOSALS
from stages.create.store import create_store
from stages.fitting import finished, fitting
from stages.models.answers import BestQueries, proposal_rows
from stages.models.mask_changes import mask_changes
from stages.plan.project import Project
from stages.registry import STAGES
from stages.run.runner import run_node
from stages.source.images import decode
from stages.stage import Role, Stage
from stages.unit import Output, Setup, Unit

__all__ = ["KEPT", "NODE", "Clock", "LaunchesSettings", "found", "main", "make_store", "start", "ways"]

NODE = "launches"
CALLS, SECONDS = 3000, 0.0115
"""Calls of torch per batch, and seconds of the device per picture: those of a Swin-L at 87 pictures per second."""
CALLS_AFTER, SECONDS_AFTER = 15, 0.0005
"""The same for finding where the masks of a picture change."""
QUERIES, WIDTH = 200, 256
HEIGHT_PX, WIDTH_PX = 480, 640
KEPT = ProposalsSettings(min_score=0, max_proposals=QUERIES)
Pixels = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


class LaunchesSettings(Settings):
    """A stage of a known number of calls."""

    batch_size: int = operational(8, ge=1, description="images per batch in the network")


@dataclass
class Clock:
    """A device that computes what it is given in turn, and takes a known time for each."""

    free: float = 0.0

    def start(self, calls: int, seconds: float) -> None:
        """Give it so many small calls, which take ``seconds`` together."""
        value = torch.zeros(1)
        for _ in range(calls):
            value = value + 1
            self.free = max(self.free, time.perf_counter()) + seconds / calls

    def wait(self) -> None:
        """Wait until it has computed everything."""
        time.sleep(max(0.0, self.free - time.perf_counter()))


@cache
def changes(number: int) -> tuple[Ints, Ints]:
    """What the device finds of the masks of a picture: 200 ellipses."""
    rng, (y, x) = np.random.default_rng(number), np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    stack = np.empty((QUERIES, HEIGHT_PX, WIDTH_PX), bool)
    for mask in stack:
        down, across, tall, wide = rng.random(4)
        mask[:] = ((y / HEIGHT_PX - down) / (0.4 * tall)) ** 2 + ((x / WIDTH_PX - across) / (0.4 * wide)) ** 2 < 1
    return mask_changes(torch.from_numpy(stack))


def network(clock: Clock, ids: list[int], pictures: list[Pixels]) -> Iterator[BestQueries]:
    """What ``best_queries`` gives of each picture of a batch, when the device has computed it."""
    clock.start(CALLS, SECONDS * len(pictures))
    clock.wait()
    for image_id in ids:
        clock.start(CALLS_AFTER, SECONDS_AFTER)
        clock.wait()
        yield found(image_id)


def found(image_id: int) -> BestQueries:
    """What the network says of a picture; eight are drawn."""
    features = np.zeros((QUERIES, WIDTH), np.float16)
    masks = runs.from_changes(*changes(image_id % 8), HEIGHT_PX, WIDTH_PX)
    return BestQueries(np.arange(QUERIES), np.ones(QUERIES, np.float32), features, masks)


def start(settings: LaunchesSettings, setup: Setup) -> Callable[[Unit], Output]:
    """As in :mod:`stages.nodes.proposals`."""
    clock = Clock()

    def finish(image_id: int, best: BestQueries) -> Rows:
        return proposal_rows(image_id, best, KEPT)

    def run(unit: Unit) -> Output:
        batches = unit.own_block.batches(settings.batch_size, lambda pixels: pixels.shape[:2])
        given = fitting(unit, batches, partial(network, clock))
        rows = [of_image for _, of_image in finished(unit, given, finish, ahead=settings.batch_size)]
        return Output(Rows.concat(PROPOSALS, rows).sorted("image_id", "proposal_id"))

    return run


def make_store(folder: Path, images: int, batch_size: int) -> Store:
    """A store of drawn pictures that are read, in one block."""
    (folder / "images").mkdir()
    for number in range(images):
        Image.fromarray(picture(number, HEIGHT_PX, WIDTH_PX)[0]).save(folder / "images" / f"{number}.jpg", quality=90)
    STAGES[NODE] = Stage(
        name=NODE,
        doc="a stage of a known number of calls",
        settings=LaunchesSettings,
        output=PROPOSALS,
        entry="bench.launches",
        inputs={"images": Role(("images",))},
        uses_network=True,
    )
    node = {"inputs": {"images": "ingest"}, "settings": {"batch_size": batch_size}}
    spec = PipelineSpec.parse({"block_size": images, "nodes": {"ingest": {}, NODE: node}}, "pipeline")
    store = create_store(str(folder / "store"), SourceSpec(kind="folder", root=str(folder / "images")), spec)
    run_node(Project.open(store), "ingest")
    return store


def ways(store: Store, folder: Path, images: int, batch_size: int) -> dict[str, Callable[[], object]]:
    """The stage, and its parts alone."""
    pictures = [decode((folder / "images" / f"{number}.jpg").read_bytes()).pixels for number in range(images)]
    batches = [range(first, min(first + batch_size, images)) for first in range(0, images, batch_size)]
    given = [found(number) for number in range(images)]

    def network_alone() -> None:
        clock = Clock()
        for ids in batches:
            for _ in network(clock, list(ids), [pictures[number] for number in ids]):
                pass

    def host_alone() -> None:
        for number, best in enumerate(given):
            decode((folder / "images" / f"{number}.jpg").read_bytes())
            proposal_rows(number, best, KEPT)

    def stage() -> None:
        store.files.remove_tree(layout.layers(NODE))
        run_node(Project.open(store), NODE)

    return {"network": network_alone, "host": host_alone, "stage": stage}


def main() -> None:
    """Print the seconds of the stage and of its parts, and how many times longer than the slower part it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 64), ("batch-size", 8), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="pd-launches-") as name:
        folder = Path(name)
        store = make_store(folder, options.images, options.batch_size)
        work = ways(store, folder, options.images, options.batch_size)
        take_turns(work, 1)  # compiles
        times = take_turns(work, options.repeats)
    for way, taken in times.items():
        print(f"{way}: {', '.join(f'{seconds:.2f}' for seconds in sorted(taken.wall))} s")
    slower = [max(pair) for pair in zip(times["network"].wall, times["host"].wall, strict=True)]
    found = ratios(times["stage"].wall, slower)
    print(f"stage / the slower of both: {median(found):.2f} ({min(found):.2f} to {max(found):.2f})")


if __name__ == "__main__":
    main()
