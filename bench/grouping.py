"""Pixel grouping: assigning before upsampling compared with upsampling first, k-means, and the network in batches.

Run: ``python -m bench.grouping [--channels 1152 --stride 8 --height 480 --width 640 -k 4 --repeats 3 --objects 64
--pictures 16]``. Both orders assign the pixels of one random object to the same random centroids. k-means from ten
starts divides objects of 300 to 3200 cells, one by one; scikit-learn divides the same ones, also on one thread.
Then objects are grouped on a GPU, if there is one, and a DINOv2 ViT-S with random weights runs at long side 322; with
``--pictures 0`` neither is done.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.results import ratios, report, take_turns
from schemas.stages import GroupingSettings
from stages.kernels.clustering.grouping import assign
from stages.kernels.clustering.kmeans import Metric, closeness, kmeans
from stages.kernels.clustering.kmeans_starts import best_of_starts
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


def objects_to_divide(num_objects: int, channels: int, cells: int = 0) -> list[Array]:
    """(P, channels) float32 per object: cells of one of four images, which are mixtures of six kinds with noise.

    P is ``cells``; 0 is 300 to 3200.
    """
    rng = np.random.default_rng(0)
    images = []
    for _ in range(min(4, num_objects)):
        mixed = rng.dirichlet(np.full(6, 0.3), 4800) @ rng.normal(size=(6, channels))
        images.append((mixed + 0.3 * rng.normal(size=mixed.shape)).astype(np.float32))
    sizes = np.exp(rng.uniform(np.log(300), np.log(3200), num_objects)).astype(int) if not cells else np.array([cells])
    starts = rng.integers(0, 4800 - sizes)
    # Views: 64 copies would take half a gigabyte.
    return [images[i % 4][start : start + size] for i, (start, size) in enumerate(zip(starts, sizes, strict=True))]


def inertia(points: Array, centroids: Array) -> float:
    """Sum of the squared distances to the nearest centroid."""
    exact, centres = points.astype(np.float64), centroids.astype(np.float64)
    distances = np.square(exact).sum(1)[:, None] - 2 * exact @ centres.T + np.square(centres).sum(1)
    return float(distances.min(1).sum())


def starts_of_kmeans(repeats: int, num_objects: int, channels: int, k: int) -> None:
    """Report k-means of all objects from ten starts against scikit-learn's, and print what one start costs there."""
    objects = objects_to_divide(num_objects, channels)
    ours = [best_of_starts(points, k, 0, 10) for points in objects]
    theirs = [kmeans(points, k, 0, 10) for points in objects]
    share = [inertia(o, a) / inertia(o, b) for o, a, b in zip(objects, ours, theirs, strict=True)]
    if max(share) > 1.01:
        raise SystemExit(f"k-means: expected an inertia of at most 1.01 x scikit-learn's, found {max(share):.4f}")
    ways = {
        "ten": lambda: [best_of_starts(points, k, 0, 10) for points in objects],
        "scikit-learn": lambda: [kmeans(points, k, 0, 10) for points in objects],
        "scikit-learn, one": lambda: [kmeans(points, k, 0, 1) for points in objects],
    }
    times = take_turns(ways, repeats)
    for name, way in times.items():
        per_object = [float(np.median(seconds)) / num_objects * 1e3 for seconds in (way.cpu, way.wall)]
        print(f"k-means, {name:>17}: {per_object[0]:6.1f} ms of CPU per object, {per_object[1]:6.1f} ms")
    cost = ratios(times["ten"].cpu, times["scikit-learn, one"].cpu)
    print(f"ten starts cost {np.median(cost):.2f} x one of scikit-learn ({min(cost):.2f} to {max(cost):.2f})")
    cpu = ratios(times["scikit-learn"].cpu, times["ten"].cpu)
    wall = ratios(times["scikit-learn"].wall, times["ten"].wall)
    sizes = [len(points) for points in objects]
    note = f"{num_objects} objects of {min(sizes)} to {max(sizes)} cells, inertia at most {max(share):.6f} x"
    report("grouping.kmeans", cpu, wall, note)


def kmeans_by_size(repeats: int, channels: int, k: int) -> None:
    """Print the milliseconds of k-means from ten starts by the number of an object's cells."""
    for cells in (600, 1600, 3200):
        points = objects_to_divide(1, channels, cells)[0]
        seconds = take_turns({"ten": partial(best_of_starts, points, k, 0, 10)}, max(repeats, 5))["ten"].cpu
        print(f"k-means of {cells:4d} cells from ten starts: {np.median(seconds) * 1e3:6.1f} ms of CPU")


def on_a_gpu(repeats: int, num_objects: int, channels: int, k: int) -> None:
    """Print the milliseconds per object of grouping on CUDA, with objects of half of the frame, and on the CPU."""
    import torch

    from stages.kernels.clustering.grouping import group_pixels
    from stages.kernels.clustering.torch_grouping import group_objects

    if not torch.cuda.is_available():
        return
    mask = np.zeros((480, 640), bool)
    mask[60:-60, 100:-100] = True
    maps = [np.random.default_rng(i).normal(size=(channels, 60, 80)).astype(np.float32) for i in range(4)]
    objects = [(torch.from_numpy(maps[i % 4]).cuda(), mask) for i in range(num_objects)]
    group_objects(objects, k, n_init=10)
    gpu = take_turns({"all": lambda: group_objects(objects, k, n_init=10)}, repeats)["all"].wall
    cpu = take_turns({"one": lambda: group_pixels(maps[0], mask, k, n_init=10)}, repeats)["one"].wall
    print(f"grouping: {min(gpu) / num_objects * 1e3:.1f} ms per object on CUDA, {min(cpu) * 1e3:.1f} ms on the CPU")


def network_in_batches(repeats: int, pictures: int) -> None:
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


def orders(repeats: int, features: Array, mask: Array, centroids: Array) -> None:
    """Report assigning first against upsampling all channels first."""
    found = []
    metrics: tuple[Metric, ...] = ("dot", "l2")
    for metric in metrics:
        arguments = (features, mask, centroids, metric)
        equal = float(np.mean(naive(*arguments) == assign(*arguments)))
        if equal < 0.999999:
            raise SystemExit(f"{metric}: both orders must give the same labels, but {1 - equal:.6f} of them differ")
        ways = {"naive": partial(naive, *arguments), "swapped": partial(assign, *arguments)}
        times = take_turns(ways, repeats)
        slow, fast = times["naive"], times["swapped"]
        found.append((ratios(slow.cpu, fast.cpu), ratios(slow.wall, fast.wall)))
        milliseconds = " ".join(f"{name} {np.median(times[name].cpu) * 1e3:8.1f} ms of CPU," for name in ways)
        print(f"{metric:>3}: {milliseconds} equal {equal:.6f}")
    cpu, wall = ([ratio for pair in found for ratio in pair[i]] for i in (0, 1))
    report("grouping.assign", cpu, wall, "both metrics, equal labels")


def main() -> None:
    """Print and report all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = {"channels": 1152, "stride": 8, "height": 480, "width": 640, "repeats": 3, "objects": 64, "pictures": 16}
    for name, default in defaults.items():
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
    orders(options.repeats, features, mask, centroids)
    starts_of_kmeans(options.repeats, options.objects, options.channels, options.k)
    kmeans_by_size(options.repeats, options.channels, options.k)
    if options.pictures:
        on_a_gpu(options.repeats, options.objects, options.channels, options.k)
        network_in_batches(options.repeats, options.pictures)


if __name__ == "__main__":
    main()
