"""From a model and a list of pictures to files of results: the work of ``pd predict``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdstore.errors import PdError, StorageFailure, UsageError
from stages.exchange.networks.picture_list import PictureFile
from stages.exchange.networks.picture_run import LeftOut, PictureRun
from stages.exchange.networks.prediction_files import Category, Overlays, Result, check_place, result_file
from stages.models.part_model import PartModel

__all__ = ["Predicted", "predict_pictures"]


@dataclass(frozen=True)
class Predicted:
    """What was written.

    Attributes:
        pictures: pictures with an answer.
        found: masks in all of them.
        left_out: the pictures without an answer.
    """

    pictures: int
    found: int
    left_out: Sequence[tuple[PictureFile, LeftOut]]


def predict_pictures(
    model: PartModel,
    pictures: Sequence[PictureFile],
    out: Path,
    *,
    classes: Sequence[str] = (),
    overlay: Path | None = None,
    overwrite: bool = False,
    changes: Mapping[str, Any] | None = None,
    device: str = "cpu",
    note: Callable[[str], None] = lambda _: None,
) -> Predicted:
    """Run the model on the pictures and write what it finds.

    Args:
        out: a COCO file, if it ends in ``.json``, or a folder of label maps.
        classes: the object class of each picture, or one for all; for a class-specific model, and no other.
        overlay: a folder for pictures with coloured parts.
        changes: settings in place of the model's own.
        note: is called with a line about what had to be tried again.

    Raises:
        UsageError: a place is taken, a class is missing or unknown, or a setting is wrong.
        PdError: no picture has an answer; then nothing is written.
        StorageFailure: the disk is full, or writing is not permitted.
    """
    for place in filter(None, (out, overlay)):
        check_place(place, overwrite)
    model, slots = _asked(model, classes, len(pictures))
    run = PictureRun(model, changes or {}, device, note)
    categories = _categories(model)
    with ExitStack() as stack:
        try:
            results: list[Result] = [result_file(out, categories, model.source)]
            stack.callback(results[0].discard)
            if overlay is not None:
                results.append(Overlays(overlay, categories, model.source))
                stack.callback(results[1].discard)
            return _written(run, pictures, slots, results)
        except OSError as error:
            fix = "Free some space or name another place"
            raise StorageFailure(f"the result cannot be written ({error!s})", str(out), fix) from None


def _written(
    run: PictureRun, pictures: Sequence[PictureFile], slots: Sequence[int], results: Sequence[Result]
) -> Predicted:
    found = answered = 0
    for answer in run.answers(pictures, slots):
        for result in results:
            result.add(pictures[answer.number], answer)
        found, answered = found + len(answer.rle), answered + 1
    left_out = [(pictures[one.number], one) for one in sorted(run.left_out, key=lambda one: one.number)]
    if not answered:
        picture, one = left_out[0]
        problem = f"none of the {len(pictures)} pictures can be used; the first: {one.reason} ({one.detail})"
        raise PdError(problem, str(picture.path), "Check that they are image files")
    for result in results:
        result.commit(left_out)
    return Predicted(answered, found, left_out)


def _asked(model: PartModel, classes: Sequence[str], number: int) -> tuple[PartModel, list[int]]:
    """The model with the object classes that are asked about alone, and the slot of each picture."""
    if model.kind == "parts of a class":
        if not classes:
            names = model.object_names
            more = ", …" if len(names) > 8 else ""
            fix = f"Add --class NAME, one of: {', '.join(names[:8])}{more}; or --class-by-folder"
            raise UsageError("the parts of this model depend on the class of the object", model.source, fix)
        chosen = [model.slot(name) for name in (classes if len(classes) > 1 else [*classes] * number)]
        kept = list(dict.fromkeys(chosen))
        return model.of_slots(kept), [kept.index(slot) for slot in chosen]
    if classes:
        fix = "Leave --class and --class-by-folder out"
        raise UsageError(f"this model answers for all object classes at once ({model.kind})", model.source, fix)
    return model, []


def _categories(model: PartModel) -> list[Category]:
    names = model.label_names()
    if model.objects:
        return [(name, model.object_names[n // model.network.num_classes]) for n, name in enumerate(names)]
    return [(name, model.parts[n][0] if model.parts else "") for n, name in enumerate(names)]
