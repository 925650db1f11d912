"""The dense CRF on the objects of real photographs, against pydensecrf on the whole picture; and the stage around it.

Run: ``python -m bench.crf [--repeats 3 --spots 2 --margins --images 24]``. The photographs are those that scikit-learn
and scikit-image bring along, at a long side of 640 pixels. Each gets smooth objects of 7, 15, 25 and 35 % of the frame,
divided into four parts, at several spots. Both ways take turns. With ``--margins`` the labels of pydensecrf are
compared with those of several margins, and nothing is timed.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_images

from bench.results import ratios, report, take_turns
from pdstore import Rows, Store, masks
from schemas.stages import CrfSettings
from schemas.tables import IMAGES, PARTS
from stages.kernels.crf import dense_crf, paint
from stages.plan.project import Project
from stages.run.runner import run_node
from stages.source.frames import mask_frames

__all__ = ["main"]

LONG_SIDE, NUM_PARTS = 640, 4
SHARES = (0.07, 0.15, 0.25, 0.35)
MARGINS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int16]


def photographs() -> Iterator[tuple[str, Pixels]]:
    """(name, (h, w, 3) uint8 RGB): six real photographs that are part of installed packages."""
    named = {name: getattr(skimage.data, name)() for name in ("astronaut", "coffee", "chelsea", "rocket")}
    samples = load_sample_images()
    named |= {Path(name).stem: picture for name, picture in zip(samples.filenames, samples.images, strict=True)}
    for name, pixels in named.items():
        picture = Image.fromarray(pixels)
        scale = LONG_SIDE / max(picture.size)
        size = round(picture.width * scale), round(picture.height * scale)
        yield name, np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def parts_of_blob(rng: np.random.Generator, size: tuple[int, ...], share: float) -> Labels:
    """(height, width) int16: a wavy blob that covers about ``share`` of the frame and lies in it, in four sectors."""
    height, width = size
    angles = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    wave = 1 + np.sum(
        [rng.normal(0, 0.25 / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi)) for k in range(2, 9)], 0
    )
    wave = np.maximum(wave, 0.2)
    radius = np.sqrt(share * height * width / (np.pi * np.mean(wave**2)))
    reach_x, reach_y = (radius * np.abs(wave * side(angles)).max() for side in (np.cos, np.sin))
    centre_x, centre_y = (
        rng.uniform(min(reach, size / 2), max(size - reach, size / 2))
        for reach, size in ((reach_x, width), (reach_y, height))
    )
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - centre_y, x - centre_x) % (2 * np.pi)
    distance = np.hypot(y - centre_y, x - centre_x)
    sector = (((angle + rng.uniform(0, 2 * np.pi)) % (2 * np.pi)) / (2 * np.pi) * NUM_PARTS).astype(np.int16) + 1
    inside = distance < radius * np.interp(angle, angles, wave, period=2 * np.pi)
    return np.asarray(np.where(inside, sector.clip(1, NUM_PARTS), 0), np.int16)


def scenes(spots: int) -> Iterator[tuple[str, float, Pixels, Labels]]:
    """(photograph, share of the frame that was asked for, pixels, labels)."""
    for number, (name, pixels) in enumerate(photographs()):
        for share in SHARES:
            for spot in range(spots):
                rng = np.random.default_rng((number, round(share * 100), spot))
                yield name, share, pixels, parts_of_blob(rng, pixels.shape[:2], share)


def reference(pixels: Pixels, labels: Labels) -> Labels:
    """Pydensecrf on the whole picture."""
    return dense_crf(pixels, labels, NUM_PARTS + 1, long_side=LONG_SIDE, margin=None, engine="pydensecrf")


def compare_margins(spots: int) -> None:
    """Print how many labels in the object are equal to those of pydensecrf on the whole picture, by margin."""
    equal: dict[tuple[float, float | None], list[float]] = {}
    for _, share, pixels, labels in scenes(spots):
        expected = reference(pixels, labels)
        for margin in (*MARGINS, None):
            found = dense_crf(pixels, labels, NUM_PARTS + 1, long_side=LONG_SIDE, margin=margin)
            equal.setdefault((share, margin), []).append(float((found == expected)[labels > 0].mean()))
    print("| margin, widths | " + " | ".join(f"{share:.0%} of the frame" for share in SHARES) + " |")
    print("|---" * (len(SHARES) + 1) + "|")
    for margin in (*MARGINS, None):
        cells = [f"{np.mean(equal[share, margin]):.3%} ({min(equal[share, margin]):.3%})" for share in SHARES]
        print(f"| {'whole picture' if margin is None else margin} | {' | '.join(cells)} |")


def compare_speed(spots: int, repeats: int) -> None:
    """Print a row per size of the object, and report the figure."""
    small = np.zeros((20, 20), np.int16)
    small[5:15, 5:15] = 1
    dense_crf(np.zeros((20, 20, 3), np.uint8), small, 2)  # Compiling is not timed.
    cpu: list[float] = []
    wall: list[float] = []
    equal: list[float] = []
    print("| object | ms, pydensecrf | ms | ratio, CPU | ratio, wall | equal labels, mean (lowest) |")
    print("|---|---|---|---|---|---|")
    rows: dict[float, list[tuple[float, ...]]] = {share: [] for share in SHARES}
    for _, share, pixels, labels in scenes(spots):
        answers: dict[str, Labels] = {}
        ways = {
            "pydensecrf": lambda p=pixels, n=labels, a=answers: a.update(pydensecrf=reference(p, n)),
            "lattice": lambda p=pixels, n=labels, a=answers: a.update(
                lattice=dense_crf(p, n, NUM_PARTS + 1, long_side=LONG_SIDE)
            ),
        }
        times = take_turns(ways, repeats)
        same = float((answers["lattice"] == answers["pydensecrf"])[labels > 0].mean())
        slow, fast = times["pydensecrf"], times["lattice"]
        of_cpu, of_wall = (statistics.median(ratios(*pair)) for pair in ((slow.cpu, fast.cpu), (slow.wall, fast.wall)))
        rows[share].append((statistics.median(slow.cpu), statistics.median(fast.cpu), of_cpu, of_wall, same))
        cpu, wall, equal = [*cpu, of_cpu], [*wall, of_wall], [*equal, same]
    for share, found in rows.items():
        before, after, *both, agreement = zip(*found, strict=True)
        times_ms = f"{statistics.median(before) * 1e3:.0f} | {statistics.median(after) * 1e3:.0f}"
        spread = " | ".join(f"{statistics.median(v):.1f} ({min(v):.1f} to {max(v):.1f})" for v in both)
        print(f"| {share:.0%} | {times_ms} | {spread} | {np.mean(agreement):.3%} ({min(agreement):.3%}) |", flush=True)
    if min(equal) < 0.99:
        raise SystemExit(f"at least 99.0 % of the labels in an object must be equal, found {min(equal):.3%}")
    report("crf", cpu, wall, f"equal labels {np.mean(equal):.3%}, lowest {min(equal):.3%}")


def store_of_parts(folder: Path, images: int) -> Path:
    """A store of photographs, mirrored and cropped so that no two are equal, whose objects are grouped into parts."""
    (folder / "images/thing").mkdir(parents=True)
    pictures = [Image.fromarray(pixels) for _, pixels in photographs()]
    for number in range(images):
        picture, shift = pictures[number % len(pictures)], number // len(pictures)
        cropped = picture.crop((4 * shift, 4 * shift, *picture.size)).resize(picture.size)
        (cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if shift % 2 else cropped).save(
            folder / f"images/thing/{number}.jpg", quality=90
        )
    for words in (
        ["init", str(folder / "store"), "--images", str(folder / "images"), "--preset", "no_weights"],
        ["--store", str(folder / "store"), "run", "ingest", "detic", "grouping"],
    ):
        subprocess.run([sys.executable, "-P", "-m", "cli", *words], check=True, capture_output=True)
    return folder / "store"


def kernel_inputs(project: Project) -> list[tuple[Pixels, Labels, int]]:
    """(pixels, labels, number of labels) of every object, as the stage gives them to its kernel."""
    images = Rows.concat(IMAGES, project.layer("ingest").scan(["image_id", "key"]))
    keys = dict(zip(images["image_id"].tolist(), images["key"].tolist(), strict=True))
    parts, found = Rows.concat(PARTS, project.layer("grouping").scan()), []
    for image_id, rows in parts.by("image_id").items():
        own = parts.take(rows)
        pixels = np.asarray(Image.open(Path(project.source.root) / keys[image_id]))
        stack = masks.decode_to(own.ragged("rle"), mask_frames(own), *pixels.shape[:2])
        found.append((pixels, paint(stack), len(own) + 1))
    return found


def compare_stage(images: int, repeats: int) -> None:
    """Report the time of the stage, with claims, decoding, encoding and commits, against that of its kernel alone."""
    with tempfile.TemporaryDirectory(prefix="pd-crf-") as name:
        source = store_of_parts(Path(name), images)
        project = Project.open(Store(str(source)))
        inputs = kernel_inputs(project)
        settings = project["crf"].settings.model_dump(include=set(CrfSettings.model_fields))
        stores = []
        for turn in range(repeats + 1):
            stores.append(Path(name) / f"turn{turn}")
            shutil.copytree(source, stores[-1])
        ways: dict[str, Callable[[], object]] = {
            "stage": lambda: run_node(Project.open(Store(str(stores.pop()))), "crf"),
            "kernel": lambda: [dense_crf(*values, **settings) for values in inputs],
        }
        ways["stage"]()  # What the first run alone has to load is not timed.
        times = take_turns(ways, repeats)
    stage, kernel = times["stage"], times["kernel"]
    each = [f"{statistics.median(v) / len(inputs) * 1e3:.1f}" for v in (stage.cpu, kernel.cpu, stage.wall, kernel.wall)]
    share = np.mean([(labels > 0).mean() for _, labels, _ in inputs])
    print(f"\n{len(inputs)} images, {share:.0%} of each is its object. Milliseconds per image, CPU and wall:")
    print(f"stage {each[0]} and {each[2]}, kernel {each[1]} and {each[3]}")
    report("runner", ratios(stage.cpu, kernel.cpu), ratios(stage.wall, kernel.wall))


def main() -> None:
    """Print the tables that the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("repeats", 3), ("spots", 2), ("images", 24)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--margins", action="store_true", help="only compare margins")
    options = parser.parse_args()
    if options.margins:
        compare_margins(options.spots)
        return
    compare_speed(options.spots, options.repeats)
    compare_stage(options.images, max(2, options.repeats))


if __name__ == "__main__":
    main()
