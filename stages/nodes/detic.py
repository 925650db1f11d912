"""Object masks from one of several detectors.

Source: reference ``detic_labeling_net.py``. Mode ``max-gt-label`` keeps the best objects of the image's class. If there
are none, it keeps the best objects of any class and assigns them to the image's class, because the image's label is
more reliable than the detector's. Mode ``human-only`` keeps people.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from schemas.stages import DeticSettings
from schemas.tables import OBJECTS
from stages.detectors import ANY, Candidates, Detector, Seen, Words
from stages.fitting import finished, fitting
from stages.mask_columns import mask_columns
from stages.source.frames import frame_side
from stages.unit import Output, Setup, Unit, UnitsOfOneBlock

__all__ = ["start", "start_together"]

BACKENDS = {
    "detic": "stages.detectors.detic",
    "sam3": "stages.detectors.sam3",
    "grounding-dino+sam2": "stages.detectors.grounding",
    "tiny": "stages.detectors.tiny",
    "saliency": "stages.detectors.saliency",
}
PERSON = (-1, "person")
"""(category_id, category_name) of all objects in mode human-only; it is not a class of the vocabulary."""


_Found = tuple[tuple[int, str], Candidates]
"""(category_id, category_name) and what was found in a picture."""


@dataclass(frozen=True)
class _Asker:
    """What one node asks for, and of which detector."""

    settings: DeticSettings
    detector: Detector


def start(settings: DeticSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError, InputMissing or CorruptData if the backend lacks what it needs."""
    asker = _Asker(settings, _detector(settings, setup))
    return lambda unit: _run([asker], [unit])[0]


def start_together(
    settings: Mapping[str, DeticSettings], setups: Mapping[str, Setup]
) -> Callable[[Sequence[Unit]], list[Output]]:
    """Nodes that ask one network for different objects: it sees every picture once. Raises as :func:`start`."""
    first, *others = settings
    detector = _detector(settings[first], setups[first])
    askers = {first: _Asker(settings[first], detector)}
    askers |= {name: _Asker(settings[name], detector.sibling(settings[name], setups[name])) for name in others}
    return lambda units: _run([askers[unit.node] for unit in units], units)


def _detector(settings: DeticSettings, setup: Setup) -> Detector:
    detector: Detector = importlib.import_module(BACKENDS[settings.backend]).start(settings, setup)
    return detector


def _run(askers: Sequence[_Asker], units: Sequence[Unit]) -> list[Output]:
    """The objects that each asker finds in one block, for the unit of its node."""
    together, first = UnitsOfOneBlock(units), askers[0]
    block = together.block

    def compute(ids: list[int], pictures: list[npt.NDArray[np.uint8]]) -> Iterator[list[_Found]]:
        seen = first.detector.look(pictures)
        views = [seen if asker is first else seen.seen_by(asker.detector) for asker in askers]
        found = [_found(view, asker.settings, ids, block.classes) for view, asker in zip(views, askers, strict=True)]
        return (list(of_image) for of_image in zip(*found, strict=True))

    def finish(image_id: int, found: list[_Found]) -> list[Rows]:
        return [_kept(image_id, *one, asker.settings) for asker, one in zip(askers, found, strict=True)]

    # Nodes that share a pass agree in everything that the network sees.
    longest = frame_side(first.settings.long_side)
    batches = block.batches(first.settings.batch_size, first.detector.shape, longest=longest)
    objects: list[list[Rows]] = [[] for _ in units]
    found = fitting(together, batches, compute)
    for image_id, of_askers in finished(together, found, finish, ahead=first.settings.batch_size):
        for asker, unit, rows, every in zip(askers, units, of_askers, objects, strict=True):
            if not len(rows) and asker.settings.mode == "max-gt-label":
                unit.reject(image_id, "no_object", f"no object scores above {asker.settings.min_score}")
            every.append(rows)
    return [Output(Rows.concat(OBJECTS, rows).sorted("image_id", "object_id")) for rows in objects]


def _found(
    view: Seen, settings: DeticSettings, ids: Sequence[int], classes_of: Mapping[int, tuple[int, str]]
) -> list[_Found]:
    """The candidates in each picture, and the category that they get."""
    classes = [PERSON if settings.mode == "human-only" else classes_of[image_id] for image_id in ids]
    return list(zip(classes, _find(view, settings, classes), strict=True))


def _find(view: Seen, settings: DeticSettings, classes: Sequence[tuple[int, str]]) -> list[Candidates]:
    """The candidates in each picture: of the words for people, or of the picture's class and else of any class."""
    if settings.mode == "human-only":
        results = view.find(dict.fromkeys(range(len(classes)), settings.words))
    else:
        words: dict[int, Words] = {number: (name,) for number, (_, name) in enumerate(classes)}
        results = view.find(words)
        lacking = [number for number, candidates in results.items() if not len(candidates.scores)]
        if lacking:
            results |= view.find(dict.fromkeys(lacking, ANY))
    return [results[number] for number in range(len(classes))]


def _kept(image_id: int, category: tuple[int, str], candidates: Candidates, settings: DeticSettings) -> Rows:
    confident = np.flatnonzero(candidates.scores > settings.min_score)
    kept = [number for number in confident.tolist() if candidates.masks[number].any()][: settings.max_objects]
    columns = mask_columns(candidates.masks[kept])
    columns |= {"image_id": image_id, "object_id": np.arange(len(kept)), "score": candidates.scores[kept]}
    columns |= {"category_id": category[0], "category_name": category[1]}
    return Rows.filled(OBJECTS, len(kept), columns)
