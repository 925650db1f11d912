"""Object masks, by one of several detectors.

Source: reference ``detic_labeling_net.py``. Mode ``max-gt-label`` keeps the best objects of the image's own class, and
where there is none the best of any class, taken to be the image's object all the same, for the image's label is
surer than the detector's. Mode ``human-only`` keeps people.
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
from stages.mask_columns import mask_columns
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
"""(category_id, category_name) of the objects of human-only: no class of the vocabulary."""


def start(settings: DeticSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError, InputMissing or CorruptData if the backend lacks what it needs."""
    detector: Detector = importlib.import_module(BACKENDS[settings.backend]).start(settings, setup)

    def run(unit: Unit) -> Output:
        block, objects = unit.own_block, []
        category = block.classes
        for ids, pictures in block.batches(settings.batch_size, detector.shape):
            own = [PERSON if settings.mode == "human-only" else category[image_id] for image_id in ids]
            for image_id, one, found in zip(ids, own, _look(detector, settings, pictures, own), strict=True):
                enough = np.flatnonzero(found.scores > settings.min_score)
                kept = [number for number in enough.tolist() if found.masks[number].any()]
                if not kept and settings.mode == "max-gt-label":
                    unit.reject(image_id, "no_object", f"no object scores above {settings.min_score}")
                kept = kept[: settings.max_objects]
                objects.append(_rows(image_id, one, found.masks[kept], found.scores[kept]))
        return Output(Rows.concat(OBJECTS, objects).sorted("image_id", "object_id"))

    return run


def _look(
    detector: Detector,
    settings: DeticSettings,
    pictures: Sequence[npt.NDArray[np.uint8]],
    own: Sequence[tuple[int, str]],
) -> list[Candidates]:
    """The mode: what each picture is searched for, and for what if that is not there."""
    seen = detector.look(pictures)
    if settings.mode == "human-only":
        found = seen.find(dict.fromkeys(range(len(pictures)), settings.words))
    else:
        asked: dict[int, Words] = {number: (name,) for number, (_, name) in enumerate(own)}
        found = seen.find(asked)
        lacking = [number for number, candidates in found.items() if not len(candidates.scores)]
        if lacking:
            found |= seen.find(dict.fromkeys(lacking, ANY))
    return [found[number] for number in range(len(pictures))]


def _rows(
    image_id: int, category: tuple[int, str], stack: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32]
) -> Rows:
    columns = mask_columns(stack)
    columns |= {"image_id": image_id, "object_id": np.arange(len(stack)), "score": scores}
    columns |= {"category_id": category[0], "category_name": category[1]}
    return Rows.filled(OBJECTS, len(stack), columns)
