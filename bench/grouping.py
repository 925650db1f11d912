"""Pixel grouping: assigning before upsampling compared with upsampling first, and the network in batches.

Run: ``python -m bench.grouping [--channels 1152 --stride 8 --height 480 --width 640 -k 4 --repeats 3]``.
Both orders assign the pixels of one random object to the same random centroids. The network is a DINOv2 ViT-S with
random weights at long side 322, on the GPU if there is one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from schemas.stages import GroupingSettings
from stages.kernels.grouping import assign
from stages.kernels.kmeans import Metric, closeness, kmeans
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
    """The shortest of ``repeats`` runs in seconds, and the result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = order(*arguments)
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def starts_of_kmeans(repeats: int, channels: int, k: int) -> None:
    """Print the milliseconds of k-means on the cells of an object, mixtures of six kinds, from 1 and 10 starts."""
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(6, channels))
    for cells in (600, 1600, 3200):
        mixed = rng.dirichlet(np.full(6, 0.3), cells) @ kinds + 0.3 * rng.normal(size=(cells, channels))
        points = mixed.astype(np.float32)
        one, ten = (best_of(repeats, kmeans, points, k, 0, starts)[0] * 1e3 for starts in (1, 10))
        print(f"k-means of {cells:4d} cells: {one:6.1f} ms from one start, {ten:6.1f} ms from ten")


def network_in_batches(repeats: int, pictures: int = 16) -> None:
    """Print the network's milliseconds per image at several batch sizes."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    from stages.features.auto import AutoFeatures

    device = "cuda" if torch.cuda.is_available() else "cpu"
    pixels = np.random.default_rng(0).integers(0, 256, (pictures, 240, 320, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        Dinov2Model(Dinov2Config(hidden_size=384, num_attention_heads=6)).save_pretrained(folder)
        network = AutoFeatures(Path(folder), GroupingSettings(backend="auto", weights=folder, long_side=322), device)
    network.maps(list(pixels[:1]))
    for size in (1, 4, 16):

        def run(size: int = size) -> Array:
            return np.stack([m[0] for i in range(0, pictures, size) for m in network.maps(list(pixels[i : i + size]))])

        seconds, _ = best_of(repeats, run)
        print(f"network on {device}, batches of {size:2d}: {seconds / pictures * 1e3:6.1f} ms per image")


def main() -> None:
    """Print both orders' milliseconds per image and the share of equal labels, then k-means and the network."""
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
    starts_of_kmeans(options.repeats, options.channels, options.k)
    network_in_batches(options.repeats)


if __name__ == "__main__":
    main()
