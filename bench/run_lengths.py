"""Choosing an object's segments and labelling them: on run lengths, and on pixels after all masks were decoded.

Run: ``python -m bench.run_lengths [--images 6 --proposals 200 --repeats 7]``. Each image of 640 x 480 pixels has one
object and proposals around it, as rows of a store. Both ways start from these rows and must give the same features and
labels. They take turns; each ratio is that of two runs one after the other. Compiling is not timed with them.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from bench.results import ratios, report, take_turns
from pdstore import Rows, masks
from schemas.stages import CandidatesSettings, LabelsSettings
from schemas.tables import OBJECTS, PROPOSALS
from stages.kernels.ranking import affinity, rank_parts
from stages.segments import segments_by_image
from tests.stages import dense_ranking

__all__ = ["main"]

HEIGHT, WIDTH, NUM_FEATURES, NUM_CLUSTERS = 480, 640, 256, 8
Doubles = npt.NDArray[np.float64]
Found = list[tuple[Any, ...]]


def blob(rng: np.random.Generator, centre: Doubles, radius: float) -> bytes:
    """A round shape with a wavy outline."""
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    waves = np.sum([0.15 / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5, 9)], 0)
    points = centre + radius * (1 + waves)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    polygon = points.clip(0, (WIDTH, HEIGHT)).ravel().tolist()
    return bytes(coco.frPyObjects([polygon], HEIGHT, WIDTH)[0]["counts"])


def scene(num_images: int, num_proposals: int) -> tuple[Rows, Rows]:
    """Rows of objects and of proposals, whose scores are spread evenly from 0 to 1."""
    rng, frame = np.random.default_rng(0), {"area": 1, "height": HEIGHT, "width": WIDTH}
    objects, proposals = [], []
    for image_id in range(num_images):
        centre = np.array([WIDTH / 2, HEIGHT / 2]) + rng.normal(0, 20, 2)
        named = {"object_id": 0, "category_id": 0, "category_name": "cat", "score": 0.9}
        objects.append({"image_id": image_id, "rle": blob(rng, centre, 170), **named, **frame})
        for number, radius in enumerate(rng.uniform(15, 150, num_proposals)):
            shape = blob(rng, centre + rng.normal(0, 80, 2), radius)
            values = {"score": rng.random(), "feature": rng.standard_normal(NUM_FEATURES).astype(np.float16)}
            proposals.append({"image_id": image_id, "proposal_id": number, "rle": shape, **values, **frame})
    return Rows.from_records(OBJECTS, objects), Rows.from_records(PROPOSALS, proposals)


def chosen_on_runs(objects: Rows, segments: Rows, settings: CandidatesSettings) -> Found:
    """The features that are clustered, object by object, as ``candidates`` finds them."""
    found: Found = []
    by_image = segments_by_image(objects, segments, min_score=settings.min_score)
    for of_object in chain.from_iterable(of_image() for of_image in by_image.values()):
        on_object = of_object.on_object(settings.min_inside)
        chosen = on_object.large(settings.min_object_ratio, one_per_pixel=settings.unique_pixels)
        found.append((chosen.features.tobytes(),))
    return found


def chosen_on_pixels(objects: Rows, segments: Rows, settings: CandidatesSettings) -> Found:
    """The same after all masks were decoded."""
    found: Found = []
    for row, own in enumerate(segments.by("image_id").values()):
        candidates = segments.take(own)
        index = dense_ranking.chosen(
            masks.decode(candidates.ragged("rle"), HEIGHT, WIDTH),
            candidates["score"],
            masks.decode_one(objects.ragged("rle")[row], HEIGHT, WIDTH),
            min_score=settings.min_score,
            min_inside=settings.min_inside,
            min_object_ratio=settings.min_object_ratio,
            one_per_pixel=settings.unique_pixels,
        )
        found.append((candidates["feature"][index].tobytes(),))
    return found


def labels_on_runs(objects: Rows, segments: Rows, settings: LabelsSettings, centroids: Doubles) -> Found:
    """The labels of each object, as ``labels`` finds them: cluster, score, area and string."""
    found: Found = []
    by_image = segments_by_image(objects, segments, min_score=settings.min_segment_score)
    for of_object in chain.from_iterable(of_image() for of_image in by_image.values()):
        kept = of_object.on_object(settings.min_inside)
        parts = rank_parts(
            kept.masks,
            kept.scores,
            affinity(kept.features, centroids, settings.metric, settings.normalize),
            top=settings.top,
            outline=of_object.outline,
        )
        found += zip(parts.clusters.tolist(), parts.scores.tolist(), parts.areas.tolist(), parts.rle, strict=True)
    return found


def labels_on_pixels(objects: Rows, segments: Rows, settings: LabelsSettings, centroids: Doubles) -> Found:
    """The same after all masks were decoded."""
    found: Found = []
    for row, own in enumerate(segments.by("image_id").values()):
        candidates = segments.take(own)
        stack, scores = masks.decode(candidates.ragged("rle"), HEIGHT, WIDTH), candidates["score"]
        outline = masks.decode_one(objects.ragged("rle")[row], HEIGHT, WIDTH)
        kept = dense_ranking.on_object(stack, scores, outline, settings.min_segment_score, settings.min_inside)
        likeness = affinity(candidates["feature"][kept], centroids, settings.metric, settings.normalize)
        parts = dense_ranking.rank_parts(stack[kept], scores[kept], likeness, top=settings.top, outline=outline)
        columns = parts.clusters.tolist(), parts.scores.tolist(), parts.areas.tolist(), masks.encode(parts.masks)
        found += zip(*columns, strict=True)
    return found


def compare(
    name: str, pixels: Callable[[], Found], runs: Callable[[], Found], repeats: int, num_images: int
) -> tuple[list[float], list[float]]:
    """Print a row of the table: milliseconds per image of both ways, and their ratios, median (smallest, largest).

    Returns the ratios of processor time and of the time that passed.
    """
    if runs() != pixels():
        raise SystemExit(f"{name}: both ways must give the same, but they do not")
    times = take_turns({"pixels": pixels, "runs": runs}, repeats)
    columns, found = [], []
    for slow, fast in ((times["pixels"].cpu, times["runs"].cpu), (times["pixels"].wall, times["runs"].wall)):
        columns += [f"{statistics.median(values) / num_images * 1e3:.2f}" for values in (slow, fast)]
        found.append(ratios(slow, fast))
        columns.append(f"{statistics.median(found[-1]):.0f} ({min(found[-1]):.0f}, {max(found[-1]):.0f})")
    print(f"| {name} | {' | '.join(columns)} |", flush=True)
    return found[0], found[1]


def main() -> None:
    """Print how long the first call takes, and one row per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 6), ("proposals", 200), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    objects, segments = scene(options.images, options.proposals)
    centroids = np.random.default_rng(1).standard_normal((NUM_CLUSTERS, NUM_FEATURES)) / 16
    length = np.diff(segments.ragged("rle").offsets.astype(np.int64)).mean()
    first = take_turns({"first": lambda: labels_on_runs(objects, segments, LabelsSettings(), centroids)}, 1)["first"]
    print("Milliseconds per image, medians; ratios with the smallest and the largest.")
    size = f"{len(segments)} masks of {WIDTH} x {HEIGHT}, {length:.0f} bytes each"
    print(f"{size}; the first call took {first.wall[0]:.1f} s\n")
    print("| | CPU, pixels | CPU, runs | ratio | wall, pixels | wall, runs | ratio |\n|---|---|---|---|---|---|---|")
    found = {}
    for bound, ratio in ((0.3, 0.05), (0.7, 0.0), (0.0, 0.0)):
        bounds = CandidatesSettings(min_score=bound, min_object_ratio=ratio, min_inside=0.5)
        slow, fast = (partial(way, objects, segments, bounds) for way in (chosen_on_pixels, chosen_on_runs))
        name = f"choice, score above {bound}"
        found[name] = compare(name, slow, fast, options.repeats, options.images)
    for bound in (0.3, 0.0):
        settings = LabelsSettings(min_segment_score=bound)
        both = labels_on_pixels, labels_on_runs
        slow, fast = (partial(way, objects, segments, settings, centroids) for way in both)
        name = f"labels, score above {bound}"
        found[name] = compare(name, slow, fast, options.repeats, options.images)
    report("ranking.choice", *found["choice, score above 0.3"])
    report("labels", *found["labels, score above 0.3"])


if __name__ == "__main__":
    main()
