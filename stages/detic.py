"""Object masks, by one of several backends.

Source: reference ``detic_labeling_net.py``. Mode ``max-gt-label`` keeps the best objects of the image's own class, and
where there is none the best of any class, taken to be the image's object all the same, for the image's label is
surer than the detector's. Mode ``human-only`` keeps people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Rows, masks
from pdstore.errors import UsageError
from schemas.stages import DeticSettings
from schemas.tables import OBJECTS
from stages.registry import CLASS_NAMES
from stages.unit import Output, Setup, Unit

__all__ = ["start"]

Bools = npt.NDArray[np.bool_]
Candidates = tuple[Bools, npt.NDArray[np.float32]]
"""(N, H, W) bool masks and (N,) scores, best first."""
Detector = Callable[[Unit], Iterator[tuple[int, tuple[int, str], Candidates]]]
"""A unit -> (image_id, (category_id, category_name), candidates) of each of its images."""


def start(settings: DeticSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError if the backend lacks what it needs."""
    detect = {"tiny": _tiny, "saliency": _saliency}[settings.backend](settings, setup)

    def run(unit: Unit) -> Output:
        records: list[dict[str, Any]] = []
        for image_id, category, (stack, scores) in detect(unit):
            found = [i for i in range(len(scores)) if scores[i] > settings.min_score and stack[i].any()]
            if not found and settings.mode == "max-gt-label":
                unit.reject(image_id, "no_object", f"no object scores above {settings.min_score}")
            kept = found[: settings.max_objects]
            records += _rows(image_id, category, stack[kept], scores[kept])
        records.sort(key=lambda row: (row["image_id"], row["object_id"]))
        return Output(Rows.from_records(OBJECTS, records))

    return run


def _rows(image_id: int, category: tuple[int, str], stack: Bools, scores: Sequence[float]) -> list[dict[str, Any]]:
    rle = masks.encode(stack)
    return [
        {
            "image_id": image_id,
            "object_id": number,
            "category_id": category[0],
            "category_name": category[1],
            "score": float(score),
            "area": int(stack[number].sum()),
            "height": stack.shape[1],
            "width": stack.shape[2],
            "rle": rle[number],
        }
        for number, score in enumerate(scores)
    ]


def _saliency(settings: DeticSettings, setup: Setup) -> Detector:
    """One object an image, by classical saliency: no weights, and no idea of what the object is."""
    from stages.kernels.saliency import salient_object

    if settings.mode != "max-gt-label":
        fix = "Use another backend for human-only"
        raise UsageError("mode max-gt-label with backend saliency", settings.mode, "detic.mode", fix)

    def detect(unit: Unit) -> Iterator[tuple[int, tuple[int, str], Candidates]]:
        category = unit.category()
        for image_id, pixels in unit.pictures():
            found = salient_object(pixels)
            yield image_id, category[image_id], (found.mask[None], np.array([found.score], np.float32))

    return detect


def _tiny(settings: DeticSettings, setup: Setup) -> Detector:
    """A small Mask2Former with one output class a word; score = class probability x mean mask probability inside."""
    from stages.models.inference import Inference

    if "model" not in setup.models:
        fix = "Give it a trained segmenter: inputs: {model: NODE}, or choose backend: saliency"
        raise UsageError("a model for backend tiny", "none", "detic", fix)
    network = Inference(setup.models["model"], setup.device, settings.long_side)
    names = json.loads((setup.models["model"] / CLASS_NAMES).read_text())
    people = [names.index(word) for word in settings.words if word in names]
    if settings.mode == "human-only" and not people:
        fix = f"Train it on people, or set detic words to some of {names}"
        raise UsageError(f"a segmenter that knows one of {list(settings.words)}", f"one of {names}", "detic", fix)

    def detect(unit: Unit) -> Iterator[tuple[int, tuple[int, str], Candidates]]:
        category = unit.category()
        for ids, pictures in unit.batches(settings.batch_size, network.shape):
            for image_id, found in zip(ids, network.queries(pictures), strict=True):
                own = category[image_id]
                if settings.mode == "human-only":
                    yield image_id, (-1, "person"), _best(found.classes[:, people].sum(1), found.masks)
                    continue
                chances = found.classes[:, names.index(own[1])] if own[1] in names else np.zeros(len(found.classes))
                if not (chances > settings.min_score).any():
                    chances = found.classes[:, :-1].max(1)
                yield image_id, own, _best(chances, found.masks)

    return detect


def _best(chances: npt.NDArray[np.floating[Any]], probabilities: npt.NDArray[np.float32]) -> Candidates:
    stack = probabilities > 0.5
    inside = (probabilities * stack).sum((1, 2)) / np.maximum(stack.sum((1, 2)), 1)
    scores = (chances * inside).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    return stack[order], scores[order]
