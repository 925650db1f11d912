"""Evaluation on run lengths compared with stacks of dense masks: wall time, and peak memory by number of images.

Run: ``python -m bench.evaluation [--images 5000 --dense 200]``. Images of 640 x 640 pixels with one object of five
parts are drawn as they are evaluated; drawing is not timed. Each measurement runs in a process of its own, so that its
peak memory can be measured. The dense method would take too long on all images and gets a sample, on which both methods
must give the same numbers.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from pdstore import Ragged, masks
from stages.kernels.confusion import class_scores, confusion, majority_vote
from stages.kernels.evaluation import RECALL_AT, Evaluation, ImageResult
from stages.kernels.protocol import HONEST, REFERENCE, Protocol
from stages.kernels.recall import recalled

__all__ = ["main"]

SIZE_PX, NUM_PARTS, NUM_CLUSTERS, NUM_CLASSES = 640, 5, 8, 3
CASES: dict[str, tuple[int, int, Protocol]] = {
    # name: predictions per image, clusters, protocol
    "parts of a model": (8, NUM_CLUSTERS, REFERENCE),
    "proposals": (100, 0, HONEST),
}
Bools = npt.NDArray[np.bool_]


def blob(rng: np.random.Generator, x: float, y: float, radius: float) -> bytes:
    """A round shape with a wavy outline."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    waves = sum(0.15 / k * np.cos(k * angle + rng.uniform(0, 6.28)) for k in (2, 3, 5, 9))
    points = np.stack([x + radius * (1 + waves) * np.cos(angle), y + radius * (1 + waves) * np.sin(angle)], 1)
    polygon = points.clip(0, SIZE_PX).ravel().tolist()
    return bytes(coco.frPyObjects([polygon], SIZE_PX, SIZE_PX)[0]["counts"])


def images(count: int, num_predictions: int) -> Iterator[ImageResult]:
    """Images with an object, five overlapping parts around its centre, and predictions near the parts."""
    for image_id in range(count):
        rng = np.random.default_rng(image_id)
        turn = 2 * np.pi * (np.arange(NUM_PARTS) / NUM_PARTS)
        centres = 320 + 140 * np.stack([np.cos(turn), np.sin(turn)], 1)
        near = centres[np.arange(num_predictions) % NUM_PARTS] + rng.normal(0, 20, (num_predictions, 2))
        radii = 90 * rng.uniform(0.6, 1.3, num_predictions)
        yield ImageResult(
            image_id,
            image_id % NUM_CLASSES,
            blob(rng, 320, 320, 230),
            Ragged.from_list(blob(rng, x, y, 90) for x, y in centres),
            np.arange(NUM_PARTS),
            Ragged.from_list(blob(rng, x, y, r) for (x, y), r in zip(near, radii, strict=True)),
            (np.arange(num_predictions) + rng.integers(0, 2, num_predictions)) % NUM_CLUSTERS,
            rng.random(num_predictions),
            (SIZE_PX, SIZE_PX),
        )


class Dense:
    """The same numbers from decoded stacks of masks, in the straightforward way."""

    def __init__(self, num_parts: int, num_clusters: int, protocol: Protocol) -> None:
        self.num_parts, self.num_clusters, self.protocol = num_parts, num_clusters, protocol
        self.joint = {c: np.zeros((num_clusters + 1, num_parts + 1), np.int64) for c in range(NUM_CLASSES)}
        self.hits = {kind: np.zeros((len(RECALL_AT), 10), np.int64) for kind in ("", "-unique")}
        self.num_gt = 0

    def add(self, image: ImageResult) -> None:
        assert isinstance(image.gt_masks, Ragged)
        assert isinstance(image.pred_masks, Ragged)
        assert isinstance(image.object_mask, bytes)
        true, predicted = (masks.decode(rle, SIZE_PX, SIZE_PX) for rle in (image.gt_masks, image.pred_masks))
        if self.protocol.cuts_to_object:
            predicted = predicted & masks.decode_one(image.object_mask, SIZE_PX, SIZE_PX)
        scores, iou = np.asarray(image.pred_scores), dense_iou(predicted, true)
        self.num_gt += len(true)
        self._recall("", iou, scores)
        if not self.num_clusters:
            best = np.where(predicted, scores[:, None, None].astype(np.float32), -1).argmax(0)
            unique = predicted & (best == np.arange(len(predicted))[:, None, None])
            self._recall("-unique", dense_iou(unique, true), scores)
            return
        kept = iou.max(1) > self.protocol.min_iou
        over = painted(predicted[kept], np.asarray(image.pred_clusters)[kept], self.num_clusters)
        under = painted(true, np.asarray(image.gt_parts), self.num_parts)
        pair = (over * (self.num_parts + 1) + under).ravel()
        joint = self.joint[image.object_class]
        joint += np.bincount(pair, minlength=joint.size).reshape(joint.shape)

    def _recall(self, kind: str, iou: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]) -> None:
        usable = iou.max(1) > self.protocol.min_iou_recall
        self.hits[kind] += recalled(iou[usable], scores[usable], RECALL_AT)

    def metrics(self) -> dict[str, float]:
        kinds = ("",) if self.num_clusters else ("", "-unique")
        recall = {
            f"AR@{n}{kind}": 100 * self.hits[kind][row].mean() / self.num_gt
            for kind in kinds
            for row, n in enumerate(RECALL_AT)
        }
        if not self.num_clusters:
            return recall
        classes = [class_scores(confusion(joint, majority_vote(joint, 0))) for joint in self.joint.values()]
        return {"C-mIoU": 100 * float(np.mean([c.mean_iou for c in classes])), **recall}


def dense_iou(a: Bools, b: Bools) -> npt.NDArray[np.float64]:
    """(A, B) IoU by one matrix product; sums of ones are exact in float32 below 2^24."""
    flat_a, flat_b = (stack.reshape(len(stack), -1).astype(np.float32) for stack in (a, b))
    common = (flat_a @ flat_b.T).astype(np.float64)
    return np.asarray(common / np.maximum(flat_a.sum(1)[:, None] + flat_b.sum(1) - common, 1))


def painted(stack: Bools, values: npt.NDArray[np.int64], background: int) -> npt.NDArray[np.int64]:
    canvas = np.full(stack.shape[1:], background)
    for mask, value in zip(stack, values, strict=True):
        canvas[mask] = value
    return canvas


def measure(method: str, case: str, count: int) -> dict[str, object]:
    """Seconds of the evaluation without drawing, the peak memory of this process in MB, and the metrics."""
    num_predictions, num_clusters, protocol = CASES[case]
    evaluation = {"runs": Evaluation, "dense": Dense}[method](NUM_PARTS, num_clusters, protocol)
    seconds = 0.0
    for image in images(count, num_predictions):
        start = time.perf_counter()
        evaluation.add(image)
        seconds += time.perf_counter() - start
    metrics = evaluation.metrics() if isinstance(evaluation, Dense) else evaluation.scores().metrics
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak, "metrics": metrics}


def measure_apart(method: str, case: str, count: int) -> dict[str, Any]:
    """:func:`measure` in a process of its own, plus the milliseconds per image."""
    command = [sys.executable, "-m", "bench.evaluation", "--one", method, case, str(count)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    result = json.loads(output)
    each = 1e3 * result["seconds"] / count
    cost = f"{result['seconds']:.1f} | {each:.2f} | {result['peak_mb']:.0f}"
    print(f"| {case} | {method} | {count} | {cost} |", flush=True)
    return {"each": each, **result}


def main() -> None:
    """Print one row per measurement, then a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--dense", type=int, default=200, help="images of 8 masks for the dense method")
    parser.add_argument("--one", nargs=3)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], options.one[1], int(options.one[2]))))
        return
    print("| predictions | method | images | seconds | ms per image | peak memory, MB |\n|---|---|---|---|---|---|")
    lines = []
    for case in CASES:
        # The same number of masks in each case.
        sample = max(1, options.dense * CASES["parts of a model"][0] // CASES[case][0])
        dense, same = (measure_apart(method, case, sample) for method in ("dense", "runs"))
        worst = max(abs(same["metrics"][name] - value) for name, value in dense["metrics"].items())
        few, many = (measure_apart("runs", case, count) for count in (options.images // 10, options.images))
        faster, growth = dense["each"] / many["each"], many["peak_mb"] / few["peak_mb"]
        lines.append(
            f"{case}: {faster:.1f} times as fast; peak memory {growth:.2f} times that with a tenth of the images; "
            f"largest difference in a number {worst:.1e}"
        )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
