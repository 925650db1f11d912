"""Pixel grouping: the swapped order of upsampling and product against the naive one.

Run: ``python -m bench.grouping [--channels 1152 --stride 8 --height 480 --width 640 -k 4 --repeats 3]``.
Both orders assign the pixels of one random object to the same random centroids.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from stages.kernels.grouping import assign
from stages.kernels.kmeans import Metric, closeness
from stages.kernels.resize import resize_bilinear

__all__ = ["main"]

Array = np.ndarray[Any, np.dtype[Any]]
Assign = Callable[..., Array]


def naive(features: Array, mask: Array, centroids: Array, metric: Metric) -> Array:
    """Upsample every channel, then assign every pixel of the object."""
    labels = np.full(mask.shape, -1, np.int16)
    points = resize_bilinear(features, *mask.shape)[:, mask].T
    labels[mask] = closeness(points, centroids, metric).argmax(1)
    return labels


def best_of(repeats: int, order: Assign, *arguments: Any) -> tuple[float, Array]:
    """Shortest of ``repeats`` runs in seconds, and the result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = order(*arguments)
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def main() -> None:
    """Print milliseconds an image of both orders, their ratio and the share of equal labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("channels", 1152), ("stride", 8), ("height", 480), ("width", 640), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("-k", type=int, default=4)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    shape = options.channels, options.height // options.stride, options.width // options.stride
    features = rng.normal(size=shape).astype(np.float32)
    centroids = rng.normal(size=(options.k, options.channels)).astype(np.float32)
    mask = np.zeros((options.height, options.width), bool)
    mask[options.height // 4 : -options.height // 4, options.width // 4 : -options.width // 4] = True
    print(f"features {shape}, image {mask.shape}, k {options.k}, object {mask.mean():.0%} of the image")
    metrics: tuple[Metric, ...] = ("dot", "l2")
    for metric in metrics:
        slow, expected = best_of(options.repeats, naive, features, mask, centroids, metric)
        fast, labels = best_of(options.repeats, assign, features, mask, centroids, metric)
        speed = f"naive {slow * 1e3:8.1f} ms  swapped {fast * 1e3:6.1f} ms  {slow / fast:5.0f} x"
        print(f"{metric:>3}: {speed}  equal {np.mean(labels == expected):.6f}")


if __name__ == "__main__":
    main()
