"""Choosing an object's segments and labelling them: on run lengths, and on pixels after all masks were decoded.

Run: ``python -m bench.run_lengths [--images 6 --proposals 200 --repeats 7]``. Each image of 640 x 480 pixels has one
object and proposals around it, as rows of a store. Both ways start from these rows and must give the same features and
labels. They take turns; each ratio is that of two runs one after the other. Compiling is not timed with them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from pdstore import Rows, masks
from schemas.stages import LabelsSettings, RankingSettings
from schemas.tables import OBJECTS, PROPOSALS
from stages.kernels.ranking import affinity, rank_parts
from stages.segments import object_segments
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


def chosen_on_runs(objects: Rows, segments: Rows, settings: RankingSettings) -> Found:
    """The features that are clustered, object by object, as ``ranking`` finds them."""
    found: Found = []
    for of_object in object_segments(objects, segments, min_score=settings.min_score):
        on_object = of_object.on_object(settings.min_inside)
        chosen = on_object.large(settings.min_object_ratio, one_per_pixel=settings.unique_pixels)
        found.append((chosen.features.tobytes(),))
    return found


def chosen_on_pixels(objects: Rows, segments: Rows, settings: RankingSettings) -> Found:
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
    for of_object in object_segments(objects, segments, min_score=settings.min_segment_score):
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


def timed(work: Callable[[], Found]) -> tuple[float, float, Found]:
    """Seconds of this process's processor time, seconds that passed, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return time.process_time() - cpu, time.perf_counter() - wall, found


def compare(name: str, pixels: Callable[[], Found], runs: Callable[[], Found], repeats: int, num_images: int) -> None:
    """Print a row of the table: milliseconds per image of both ways, and their ratios, median (smallest, largest)."""
    runs()  # compiles, or loads what was compiled
    slow, fast = [], []
    for _ in range(repeats):
        (*seconds, expected), (*other, found) = timed(pixels), timed(runs)
        if found != expected:
            raise SystemExit(f"{name}: both ways must give the same, but they do not")
        slow.append(seconds)
        fast.append(other)
    columns = []
    for clock in (0, 1):
        a, b = [s[clock] for s in slow], [s[clock] for s in fast]
        ratios = [x / y for x, y in zip(a, b, strict=True)]
        columns += [f"{statistics.median(values) / num_images * 1e3:.2f}" for values in (a, b)]
        columns.append(f"{statistics.median(ratios):.0f} ({min(ratios):.0f}, {max(ratios):.0f})")
    print(f"| {name} | {' | '.join(columns)} |", flush=True)


def main() -> None:
    """Print how long the first call takes, and one row per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 6), ("proposals", 200), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    objects, segments = scene(options.images, options.proposals)
    centroids = np.random.default_rng(1).standard_normal((NUM_CLUSTERS, NUM_FEATURES)) / 16
    length = np.diff(segments.ragged("rle").offsets.astype(np.int64)).mean()
    first = timed(lambda: labels_on_runs(objects, segments, LabelsSettings(), centroids))[1]
    print("Milliseconds per image, medians; ratios with the smallest and the largest.")
    print(f"{len(segments)} masks of {WIDTH} x {HEIGHT}, {length:.0f} bytes each; the first call took {first:.1f} s\n")
    print("| | CPU, pixels | CPU, runs | ratio | wall, pixels | wall, runs | ratio |\n|---|---|---|---|---|---|---|")
    for bound, ratio in ((0.3, 0.05), (0.7, 0.0), (0.0, 0.0)):
        ranking = RankingSettings(min_score=bound, min_object_ratio=ratio, min_inside=0.5)
        slow, fast = (partial(way, objects, segments, ranking) for way in (chosen_on_pixels, chosen_on_runs))
        compare(f"choice, score above {bound}", slow, fast, options.repeats, options.images)
    for bound in (0.3, 0.0):
        settings = LabelsSettings(min_segment_score=bound)
        both = labels_on_pixels, labels_on_runs
        slow, fast = (partial(way, objects, segments, settings, centroids) for way in both)
        compare(f"labels, score above {bound}", slow, fast, options.repeats, options.images)


if __name__ == "__main__":
    main()
