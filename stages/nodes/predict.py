"""The parts of every image, predicted by the final model for the image's object class, or by a supervised model.

A pixel's chance of a part is the sum over queries of class probability x mask probability. The pixel takes its best
part if that chance is above the threshold. A dense CRF may then move the borders to the edges in the image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pdstore import Rows, runs
from pdstore.errors import UsageError
from schemas.stages import PredictSettings
from schemas.tables import PREDICTIONS
from stages.fitting import finished, fitting
from stages.mask_columns import run_columns
from stages.models.answers import Parts, part_answers, smoothed
from stages.models.inference import Inference
from stages.source.text_files import read_lines
from stages.stage import PART_NAMES
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Target:
    """An object class whose parts are predicted in an image.

    Attributes:
        slot: its rows in a class-specific head; 0 for a plain head.
        is_own: it is the class of the whole image, not of one object among others.
    """

    object_id: int
    category_id: int
    slot: int
    is_own: bool


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the network says of one picture.

    Attributes:
        answers: what finds the parts of each object class that it was asked about; of a plain head, one for all.
        pixels: of the picture, for the CRF.
    """

    answers: list[Callable[[], Parts]]
    pixels: Pixels | None


def start(settings: PredictSettings, setup: Setup) -> Callable[[Unit], Output]:
    """The score of a part is the mean chance of its pixels, at most 1.

    An image with a class gets the parts of that class. An image without a class gets the parts of each class among its
    ``objects``, with the lowest ``object_id`` of that class.

    Raises:
        UsageError: the head was made for other classes, and ``slots`` does not say which.
    """
    folder = setup.models["model"]
    network = Inference(folder, setup.device, settings.long_side, settings.precision)
    taught = _Taught.read(folder, setup)
    slots = _slots(setup, network.network.num_objects)
    # A CRF takes longer than the network, and the chances that wait for it are megabytes per picture.
    ahead = settings.batch_size if settings.crf is None else 2

    def run(unit: Unit) -> Output:
        targets = _targets(unit, slots)

        def compute(ids: list[int], pictures: list[Pixels]) -> Iterator[_Seen]:
            # A plain head answers for all classes at once.
            wanted = [targets[image_id] if slots else targets[image_id][:1] for image_id in ids]
            jobs = [(pixels, of.slot) for pixels, asked in zip(pictures, wanted, strict=True) for of in asked]
            answers = part_answers(network, jobs, settings)
            for pixels, asked in zip(pictures, wanted, strict=True):
                yield _Seen(list(islice(answers, len(asked))), None if settings.crf is None else pixels)

        def finish(image_id: int, seen: _Seen) -> list[Rows]:
            found = [answer() for answer in seen.answers]
            answers = found if slots else found * len(targets[image_id])
            pairs = zip(targets[image_id], answers, strict=True)
            return [_rows(image_id, target, seen.pixels, parts, settings, taught) for target, parts in pairs]

        batches = unit.own_block.batches(settings.batch_size, network.shape, targets, longest=network.longest)
        found = finished(unit, fitting(unit, batches, compute), finish, ahead=ahead)
        predictions = [rows for _, of_image in found for rows in of_image]
        return Output(Rows.concat(PREDICTIONS, predictions).sorted("image_id", "object_id", "label_id"))

    return run


@dataclass(frozen=True)
class _Taught:
    """The parts that a supervised model was taught, as (category, name).

    The category is empty if objects share part names.
    """

    parts: Sequence[tuple[str, str]]
    classes: dict[int, str]

    @classmethod
    def read(cls, folder: Path, setup: Setup) -> _Taught | None:
        """The parts of the model in ``folder``; None if it was not taught names."""
        if not (folder / PART_NAMES).exists():
            return None
        parts = [(category, name) for category, name in json.loads((folder / PART_NAMES).read_text())]
        return cls(parts, {c.class_id: c.name.lower() for c in setup.classes})

    def name(self, part: int) -> str:
        return " ".join(filter(None, self.parts[part]))

    def fits(self, part: int, target: _Target) -> bool:
        """True unless the part is of another class than the target, in an image with objects of several classes."""
        return target.is_own or self.parts[part][0] in ("", self.classes[target.category_id])


def _slots(setup: Setup, num_objects: int) -> dict[int, int] | None:
    """class_id -> slot in the class-specific head, for the classes that have one; None for a plain head."""
    if not num_objects:
        return None
    if "slots" not in setup.files:
        if len(setup.classes) != num_objects:
            fix = "List the head's classes in order, one code or 'code,name' per line: predict's setting slots=FILE"
            problem = f"the model's head is for {num_objects} classes, but the store has {len(setup.classes)}"
            raise UsageError(problem, "input model", fix)
        return {c.class_id: c.class_id for c in setup.classes}
    path = setup.files["slots"]
    lines = [line.strip().lower() for _, line in read_lines(path) if line.strip()]
    if not 0 < len(lines) <= num_objects:
        fix = "Give the file that belongs to the weights"
        raise UsageError(f"the head has {num_objects} classes, but this file lists {len(lines)}", str(path), fix)
    numbers: dict[str, int] = {}
    for number, line in enumerate(lines):
        for word in line.split(",", 1):
            numbers.setdefault(word.strip(), number)
    slots = {c.class_id: numbers.get(c.wnid.lower(), numbers.get(c.name.lower())) for c in setup.classes}
    return {class_id: slot for class_id, slot in slots.items() if slot is not None}


def _targets(unit: Unit, slots: dict[int, int] | None) -> dict[int, list[_Target]]:
    """image_id -> the classes whose parts are predicted; an image without any becomes a row of ``errors``."""
    several = _classes_of_objects(unit)
    targets: dict[int, list[_Target]] = {}
    lacking: list[tuple[int, str]] = []
    for image_id, (category_id, name) in unit.own_block.classes.items():
        if category_id < 0 and "objects" not in unit.layers:
            unit.reject(image_id, "no_class", "expected an image with a class, or the input objects, found neither")
            continue
        wanted = {category_id: 0} if category_id >= 0 else several.get(image_id, {})
        for category, object_id in wanted.items():
            if slots is None or category in slots:
                target = _Target(object_id, category, slots[category] if slots else 0, is_own=category_id >= 0)
                targets.setdefault(image_id, []).append(target)
            else:
                lacking.append((image_id, f"expected class {name or category} in slots, found none"))
    for image_id, detail in lacking:
        # An image of which other objects are predicted has lost an object, and is not left out itself.
        unit.reject(image_id, "no_slot", detail, of="object" if image_id in targets else "image")
    return targets


def _classes_of_objects(unit: Unit) -> dict[int, dict[int, int]]:
    """image_id -> class_id of its objects -> the lowest object_id of that class."""
    lowest: dict[int, dict[int, int]] = {}
    if "objects" in unit.layers:
        rows = unit.own_block.rows("objects", ["image_id", "object_id", "category_id"])
        for image_id, object_id, category in sorted(zip(*(rows[n].tolist() for n in rows.columns), strict=True)):
            if category >= 0:
                lowest.setdefault(image_id, {}).setdefault(category, object_id)
    return lowest


def _rows(
    image_id: int,
    target: _Target,
    pixels: Pixels | None,
    parts: Parts,
    settings: PredictSettings,
    taught: _Taught | None,
) -> Rows:
    if taught:
        parts = parts.take([row for row, part in enumerate(parts.numbers.tolist()) if taught.fits(part, target)])
    if pixels is not None and settings.crf is not None:
        parts = smoothed(parts, pixels, settings.crf)
    labels = np.flatnonzero(runs.areas(parts.masks))
    parts = parts.take(labels)
    columns = run_columns(parts.masks)
    columns |= {
        "image_id": image_id,
        "object_id": target.object_id,
        "label_id": labels,
        "category_id": target.category_id,
        "cluster": parts.numbers,
        "score": np.minimum(parts.scores, 1),
        "object_ratio": columns["area"] / max(int(columns["area"].sum()), 1),
        "part_name": [taught.name(part) if taught else "" for part in parts.numbers.tolist()],
    }
    return Rows.filled(PREDICTIONS, len(parts.numbers), columns)
