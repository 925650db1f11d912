"""The parts of every image by the final model, given the image's object class, or by a supervised one.

A pixel's chance of a part is the sum over queries of class probability x mask probability; it takes the best part
if that chance is above the threshold. A dense CRF may then move the borders onto those of the image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from pdstore.errors import UsageError
from schemas.stages import PredictSettings
from schemas.tables import PREDICTIONS
from stages.kernels.crf import smooth
from stages.mask_columns import mask_columns
from stages.models.inference import Found, Inference
from stages.registry import PART_NAMES
from stages.source.text_files import read_lines
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Asked:
    """An object class whose parts are looked for in an image.

    Attributes:
        slot: its rows of a class-specific head. is_own: it is the class of the image, not of one object among others.
    """

    object_id: int
    category_id: int
    slot: int
    is_own: bool


def start(settings: PredictSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Score of a part: the mean chance of its pixels, at most 1.

    An image with a class is asked for the parts of that class; one without, for those of each class among its
    ``objects``, with the lowest ``object_id`` of that class.

    Raises:
        UsageError: the head was made for other classes and ``slots`` does not say which.
    """
    folder = setup.models["model"]
    network, taught = Inference(folder, setup.device, settings.long_side), _Taught.read(folder, setup)
    slots = _slots(setup, network.network.num_objects)

    def run(unit: Unit) -> Output:
        asked = _asked(unit, slots)
        predictions: list[Rows] = []
        for ids, pictures in unit.own_block.batches(settings.batch_size, network.shape, asked):
            # A plain head answers for all classes at once.
            jobs = [(n, one) for n, i in enumerate(ids) for one in (asked[i] if slots else asked[i][:1])]
            for chunk in (jobs[k : k + settings.batch_size] for k in range(0, len(jobs), settings.batch_size)):
                shown, classes = [pictures[n] for n, _ in chunk], [one.slot for _, one in chunk]
                for (n, one), chance in zip(chunk, _chances(network, shown, classes, settings.flip), strict=True):
                    for each in [one] if slots else asked[ids[n]]:
                        predictions.append(_rows(ids[n], each, pictures[n], chance, settings, taught))
        return Output(Rows.concat(PREDICTIONS, predictions).sorted("image_id", "object_id", "label_id"))

    return run


@dataclass(frozen=True)
class _Taught:
    """The parts that a supervised model was taught: (category, name) each; no category where objects share a name."""

    parts: Sequence[tuple[str, str]]
    classes: dict[int, str]

    @classmethod
    def read(cls, folder: Path, setup: Setup) -> _Taught | None:
        """None if it was not taught names."""
        if not (folder / PART_NAMES).exists():
            return None
        parts = [(category, name) for category, name in json.loads((folder / PART_NAMES).read_text())]
        return cls(parts, {c.class_id: c.name.lower() for c in setup.classes})

    def name(self, part: int) -> str:
        return " ".join(filter(None, self.parts[part]))

    def fits(self, part: int, asked: _Asked) -> bool:
        """Among objects of several classes each gets the parts of its own."""
        return asked.is_own or self.parts[part][0] in ("", self.classes[asked.category_id])


def _slots(setup: Setup, num_objects: int) -> dict[int, int] | None:
    """class_id -> its slot of the class-specific head, without the classes that have none; None of a plain head."""
    if not num_objects:
        return None
    if "slots" not in setup.files:
        if len(setup.classes) != num_objects:
            fix = "Name the head's classes in their order, a code or 'code,name' a line: predict's setting slots=FILE"
            found = f"one for {num_objects}"
            raise UsageError(
                f"expected a head for the {len(setup.classes)} classes of the store, found {found}", "input model", fix
            )
        return {c.class_id: c.class_id for c in setup.classes}
    path = setup.files["slots"]
    lines = [line.strip().lower() for _, line in read_lines(path) if line.strip()]
    if not 0 < len(lines) <= num_objects:
        fix = "Give the file that goes with the weights"
        raise UsageError(
            f"expected at most {num_objects} classes, those of the head, found {len(lines)}", str(path), fix
        )
    numbers: dict[str, int] = {}
    for number, line in enumerate(lines):
        for word in line.split(",", 1):
            numbers.setdefault(word.strip(), number)
    found_at = {c.class_id: numbers.get(c.wnid.lower(), numbers.get(c.name.lower())) for c in setup.classes}
    return {class_id: slot for class_id, slot in found_at.items() if slot is not None}


def _asked(unit: Unit, slots: dict[int, int] | None) -> dict[int, list[_Asked]]:
    """image_id -> what is asked of it; an image of which nothing can be asked is a row of ``errors``."""
    several = _classes_of_objects(unit)
    asked: dict[int, list[_Asked]] = {}
    for image_id, (category_id, name) in unit.own_block.classes.items():
        if category_id < 0 and "objects" not in unit.layers:
            unit.reject(image_id, "no_class", "expected an image with a class, or the input objects, found neither")
            continue
        wanted = {category_id: 0} if category_id >= 0 else several.get(image_id, {})
        for category, object_id in wanted.items():
            if slots is None or category in slots:
                one = _Asked(object_id, category, slots[category] if slots else 0, is_own=category_id >= 0)
                asked.setdefault(image_id, []).append(one)
            else:
                unit.reject(image_id, "no_slot", f"expected class {name or category} in slots, found none")
    return asked


def _classes_of_objects(unit: Unit) -> dict[int, dict[int, int]]:
    """image_id -> class_id of its objects -> the lowest object_id of that class."""
    found: dict[int, dict[int, int]] = {}
    if "objects" in unit.layers:
        rows = unit.own_block.rows("objects", ["image_id", "object_id", "category_id"])
        for image_id, object_id, category in sorted(zip(*(rows[n].tolist() for n in rows.columns), strict=True)):
            if category >= 0:
                found.setdefault(image_id, {}).setdefault(category, object_id)
    return found


def _chances(network: Inference, pictures: Sequence[Any], classes: Sequence[int], flip: bool) -> Iterator[Floats]:
    """(K, H, W) of each picture: chance of each part at each pixel."""
    chances = [_chance(found) for found in network.queries(pictures, classes)]
    if flip:
        mirrored = network.queries(pictures, classes, flip=True)
        chances = [(a + _chance(b)) / 2 for a, b in zip(chances, mirrored, strict=True)]
    yield from chances


def _chance(found: Found) -> Floats:
    return np.tensordot(found.classes[:, :-1].T, found.masks, 1)


def _parts(chance: Floats, settings: PredictSettings) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(M,) numbers of the parts that are there, and their (M, H, W) masks."""
    stack = (chance.argmax(0) == np.arange(len(chance))[:, None, None]) & (chance > settings.threshold)
    parts = np.flatnonzero(stack.mean((1, 2)) > settings.min_area_ratio)
    return parts, stack[parts]


def _rows(
    image_id: int, asked: _Asked, pixels: Pixels, chance: Floats, settings: PredictSettings, taught: _Taught | None
) -> Rows:
    parts, stack = _parts(chance, settings)
    if taught:
        fitting = [number for number, part in enumerate(parts) if taught.fits(part, asked)]
        parts, stack = parts[fitting], stack[fitting]
    if settings.crf is not None:
        stack = smooth(pixels, stack, **settings.crf.model_dump())
    numbers = np.flatnonzero(stack.any((1, 2)))
    parts, stack = parts[numbers], stack[numbers]
    columns = mask_columns(stack)
    columns |= {
        "image_id": image_id,
        "object_id": asked.object_id,
        "label_id": numbers,
        "category_id": asked.category_id,
        "cluster": parts,
        "score": [min(1.0, float(chance[part][mask].mean())) for part, mask in zip(parts, stack, strict=True)],
        "object_ratio": columns["area"] / max(int(columns["area"].sum()), 1),
        "part_name": [taught.name(part) if taught else "" for part in parts],
    }
    return Rows.filled(PREDICTIONS, len(numbers), columns)
