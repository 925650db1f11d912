"""What the host has to do per image of ``proposals`` and ``predict``, if masks are finished on the network's device.

Run: ``python -m bench.device_masks [--images 3 --queries 200 --parts 8 --repeats 5]``. A network has said the same of
each image of 640 x 480 pixels: masks at a quarter of that size, and classes. One way copies the probabilities of all
masks to the host, as arrays of pixels, and does the rest there with NumPy and pycocotools; the other finishes masks in
torch and makes rows of the places at which they change. The first two columns are what runs on the host once the device
is done, without the copy from it. The device is the CPU here: the third column is its part, and the fourth all of an
image's work on pixels, to compare with the second and third in sum. The row ``mask_columns`` is of as many decoded
masks, which other stages have on the host. Both ways must give the same rows. They take turns; each ratio is that of
two runs one after the other. Compiling is not timed.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from bench.results import ratios, report, take_turns
from bench.run_lengths import HEIGHT, WIDTH, blob
from bench.targets import TARGETS
from pdstore import Ragged, Rows, masks
from schemas.stages import PredictSettings, ProposalsSettings
from schemas.tables import PREDICTIONS
from stages.mask_columns import mask_columns, run_columns
from stages.models.answers import Parts, best_queries, chances, parts_of, proposal_rows
from stages.models.inference import Found
from tests.stages.models import dense_answers

__all__ = ["main"]

Floats = npt.NDArray[np.float32]
PROPOSALS, PREDICT = ProposalsSettings(min_score=0.0), PredictSettings(threshold=0.3)


class Dense(Found):
    """Masks whose probabilities are on the host already, as pixels."""

    def masks(self, queries):  # type: ignore[no-untyped-def]
        """As the base has it, without the device's part."""
        assert np.array_equal(queries, np.arange(len(self.logits))), "slices, because copies are no part of the work"
        for first in range(0, len(queries), 16):
            numbers = np.asarray(queries)[first : first + 16]
            yield numbers, self.logits[first : first + 16].numpy()


def scene(number: int, num_queries: int, num_parts: int) -> Found:
    """What a network says of an image, best query first: a tenth of them are parts, the others hardly any."""
    rng = np.random.default_rng(number)
    centre = np.array([WIDTH / 2, HEIGHT / 2])
    shapes = [blob(rng, centre + rng.normal(0, 80, 2), radius) for radius in rng.uniform(15, 150, num_queries)]
    stack = masks.decode(Ragged.from_list(shapes), HEIGHT, WIDTH)
    full = torch.from_numpy(np.where(stack, np.float32(3), np.float32(-3)))
    small = functional.interpolate(full[None], (HEIGHT // 4, WIDTH // 4), mode="bilinear")[0]
    logits = 2 * rng.standard_normal((num_queries, num_parts + 1), np.float32)
    classes = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    classes[num_queries // 10 :, :-1] *= 0.02
    classes[:, -1] = 1 - classes[:, :-1].sum(1)
    classes = classes[np.argsort(classes[:, -1])]
    return Found(classes, rng.standard_normal((num_queries, 256), np.float32), small, (HEIGHT, WIDTH))


def predicted(numbers: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], columns: dict[str, object]) -> Rows:
    """Rows of ``predictions``."""
    areas = np.asarray(columns["area"])
    values = {"image_id": 0, "object_id": 0, "label_id": np.arange(len(numbers)), "category_id": 0, "part_name": ""}
    named = {"cluster": numbers, "score": np.minimum(scores, 1), "object_ratio": areas / max(int(areas.sum()), 1)}
    return Rows.filled(PREDICTIONS, len(numbers), {**columns, **values, **named})


def predicted_on_pixels(found: Found) -> Rows:
    """All of it on the host: sums over queries, the likeliest part, areas, mean scores, strings."""
    chance = dense_answers.chances(found)
    numbers, stack = dense_answers.parts_of(chance, PREDICT)
    scores = [chance[part][mask].mean(dtype=np.float64) for part, mask in zip(numbers, stack, strict=True)]
    columns = {"area": stack.sum((1, 2)), "height": HEIGHT, "width": WIDTH, "rle": masks.encode(stack)}
    return predicted(numbers, np.array(scores), columns)


def predicted_from_changes(parts: Parts) -> Rows:
    """What ``predict`` does behind the network."""
    return predicted(parts.numbers, parts.scores, run_columns(parts.masks))


def check_equal(name: str, slow: Rows, fast: Rows) -> None:
    """Stops unless all columns are equal; scores of parts are sums of chances, whose last bits may differ."""
    for column in slow.columns:
        if column == "rle":
            is_equal = slow.ragged(column) == fast.ragged(column)
        elif column == "score" and name == "predict":
            is_equal = np.allclose(slow[column], fast[column], rtol=1e-5)
        else:
            is_equal = np.array_equal(slow[column], fast[column])
        if not is_equal:
            raise SystemExit(f"{name}: both ways must give the same, but {column} differs")


def compare(name: str, ways: Mapping[str, Callable[[], object]], repeats: int, num_images: int) -> None:
    """Print a row of the table, and report the ratios."""
    times = take_turns(ways, repeats)
    cells = [
        f"{statistics.median(seconds) / num_images * 1e3:.2f}" if way in times else ""
        for way in ("pixels", "changes", "device", "all on pixels")
        for seconds in ((times[way].cpu, times[way].wall) if way in times else ((), ()))
    ]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)
    slow, fast = times["pixels"], times["changes"]
    if f"{name}.host" in TARGETS:
        report(f"{name}.host", ratios(slow.cpu, fast.cpu), ratios(slow.wall, fast.wall))


def main() -> None:
    """Print one row per stage: milliseconds per image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 3), ("queries", 200), ("parts", 8), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    seen = [scene(number, options.queries, options.parts) for number in range(options.images)]
    every = np.arange(options.queries)
    dense = []
    for f in seen:
        probabilities = np.concatenate([some for _, some in f.masks(every)])
        dense.append(Dense(f.classes, f.features, torch.from_numpy(probabilities), f.size))
    best = [best_queries(found, PROPOSALS) for found in seen]
    parts = [parts_of(chances([found]), PREDICT) for found in seen]
    for one, queries, found in zip(dense, best, parts, strict=True):
        slow = dense_answers.proposals_of(0, one, PROPOSALS)
        check_equal("proposals", slow, proposal_rows(0, queries, PROPOSALS))
        check_equal("predict", predicted_on_pixels(one), predicted_from_changes(found))
    pixels, places = dense[0].logits.nbytes / 1e6, best[0].masks.ends.size * 4 / 1e6
    print(f"{options.queries} masks of {WIDTH} x {HEIGHT}: {pixels:.0f} MB of probabilities, {places:.2f} MB of places")
    print("Milliseconds per image, medians.\n")
    columns = ("pixels", "changes", "device's part", "device's part and pixels")
    print(f"| | {' | '.join(f'CPU, {name} | wall' for name in columns)} |\n|{'---|' * 9}")
    stacks = [masks.decode(proposal_rows(0, one, PROPOSALS).ragged("rle"), HEIGHT, WIDTH) for one in best]
    ways: dict[str, dict[str, Callable[[], object]]] = {
        "proposals": {
            "device": lambda: [best_queries(found, PROPOSALS) for found in seen],
            "pixels": lambda: [dense_answers.proposals_of(0, one, PROPOSALS) for one in dense],
            "changes": lambda: [proposal_rows(0, queries, PROPOSALS) for queries in best],
            "all on pixels": lambda: [dense_answers.proposals_of(0, found, PROPOSALS) for found in seen],
        },
        "predict": {
            "device": lambda: [parts_of(chances([found]), PREDICT) for found in seen],
            "pixels": lambda: [predicted_on_pixels(one) for one in dense],
            "changes": lambda: [predicted_from_changes(found) for found in parts],
            "all on pixels": lambda: [predicted_on_pixels(found) for found in seen],
        },
        "mask_columns": {
            "pixels": lambda: [(one.sum((1, 2)), masks.encode(one)) for one in stacks],
            "changes": lambda: [mask_columns(one) for one in stacks],
        },
    }
    for name, of_stage in ways.items():
        compare(name, of_stage, options.repeats, options.images)


if __name__ == "__main__":
    main()
