"""Object masks from one of several detectors.

Source: reference ``detic_labeling_net.py``. Mode ``max-gt-label`` keeps the best objects of the image's class. If there
are none, it keeps the best objects of any class and assigns them to the image's class, because the image's label is
more reliable than the detector's. Mode ``human-only`` keeps people.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from schemas.stages import DeticSettings
from schemas.tables import OBJECTS
from stages.detectors import ANY, Candidates, Detector, Words
from stages.fitting import fitting
from stages.mask_columns import mask_columns
from stages.source.frames import frame_side
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

BACKENDS = {
    "detic": "stages.detectors.detic",
    "sam3": "stages.detectors.sam3",
    "grounding-dino+sam2": "stages.detectors.grounding",
    "tiny": "stages.detectors.tiny",
    "saliency": "stages.detectors.saliency",
}
PERSON = (-1, "person")
"""(category_id, category_name) of all objects in mode human-only; it is not a class of the vocabulary."""


def start(settings: DeticSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError, InputMissing or CorruptData if the backend lacks what it needs."""
    detector: Detector = importlib.import_module(BACKENDS[settings.backend]).start(settings, setup)

    def run(unit: Unit) -> Output:
        block = unit.own_block

        def compute(ids: list[int], pictures: list[npt.NDArray[np.uint8]]) -> list[Rows]:
            classes = [PERSON if settings.mode == "human-only" else block.classes[image_id] for image_id in ids]
            results = _look(detector, settings, pictures, classes)
            return [_kept(*one, settings) for one in zip(ids, classes, results, strict=True)]

        batches = block.batches(settings.batch_size, detector.shape, longest=frame_side(settings.long_side))
        objects = []
        for image_id, rows in fitting(unit, batches, compute):
            if not len(rows) and settings.mode == "max-gt-label":
                unit.reject(image_id, "no_object", f"no object scores above {settings.min_score}")
            objects.append(rows)
        return Output(Rows.concat(OBJECTS, objects).sorted("image_id", "object_id"))

    return run


def _look(
    detector: Detector,
    settings: DeticSettings,
    pictures: Sequence[npt.NDArray[np.uint8]],
    classes: Sequence[tuple[int, str]],
) -> list[Candidates]:
    """The candidates in each picture: of the words for people, or of the picture's class and else of any class."""
    view = detector.look(pictures)
    if settings.mode == "human-only":
        results = view.find(dict.fromkeys(range(len(pictures)), settings.words))
    else:
        words: dict[int, Words] = {number: (name,) for number, (_, name) in enumerate(classes)}
        results = view.find(words)
        lacking = [number for number, candidates in results.items() if not len(candidates.scores)]
        if lacking:
            results |= view.find(dict.fromkeys(lacking, ANY))
    return [results[number] for number in range(len(pictures))]


def _kept(image_id: int, category: tuple[int, str], candidates: Candidates, settings: DeticSettings) -> Rows:
    confident = np.flatnonzero(candidates.scores > settings.min_score)
    kept = [number for number in confident.tolist() if candidates.masks[number].any()][: settings.max_objects]
    columns = mask_columns(candidates.masks[kept])
    columns |= {"image_id": image_id, "object_id": np.arange(len(kept)), "score": candidates.scores[kept]}
    columns |= {"category_id": category[0], "category_name": category[1]}
    return Rows.filled(OBJECTS, len(kept), columns)
