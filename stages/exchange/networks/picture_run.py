"""Runs a part model on pictures that are in no store, with the code of the stages ``predict`` and ``proposals``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Ragged, masks, runs
from pdstore.errors import UsageError
from schemas.stages import PredictSettings, ProposalsSettings
from stages.block import batched
from stages.exchange.networks.picture_list import PictureFile
from stages.fitting import finished, fitting
from stages.models.answers import BestQueries, Parts, part_answers, proposal_rows, query_answers, smoothed
from stages.models.inference import Inference
from stages.models.part_model import PartModel
from stages.source.frames import Size, frame_of
from stages.source.images import ImageFault, Picture, decode, decode_ahead

__all__ = ["Answer", "LeftOut", "PictureRun"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says of one picture, in the picture's own pixels.

    Attributes:
        number: the picture's position in the list.
        size: (H, W) of the picture, upright.
        labels: (M,) int64, positions in the model's label names.
        scores: (M,) float.
        rle: M masks; those of parts are disjoint, those of proposals may overlap, and the best is first.
    """

    number: int
    size: Size
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.floating[Any]]
    rle: Ragged


@dataclass(frozen=True)
class LeftOut:
    """A picture without an answer; ``reason`` is a short code as in the table ``errors``."""

    number: int
    reason: str
    detail: str


class PictureRun:
    """A model that is ready to be run.

    Args:
        model: the model. Of a class-specific one, only the object classes that are asked about are needed.
        changes: settings of the stage that runs it (``predict`` or ``proposals``), in place of the model's own.
        device: such as ``cpu`` or ``cuda``.

    Attributes:
        left_out: the pictures without an answer so far.

    Raises:
        UsageError: a setting is wrong, or the model finds objects.
    """

    def __init__(
        self,
        model: PartModel,
        changes: Mapping[str, Any],
        device: str = "cpu",
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        if model.kind == "objects":
            fix = "Name a model of parts; pd runs a segmenter as the stage detic"
            raise UsageError("this model finds objects, not parts", model.source, fix)
        self.model, self.left_out, self.note = model, list[LeftOut](), note
        settings = PredictSettings if model.kind != "proposals" else ProposalsSettings
        # A node may name the classes of its head in a file; here the model knows them.
        known = {name: value for name, value in model.settings.items() if name in settings.model_fields}
        if "long_side" not in known and model.trained_px:
            known["long_side"] = model.trained_px
        self.settings: Any = settings.parse({**known, **changes}, "settings")
        self._network = Inference(model.network.to(device), device, self.settings.long_side, self.settings.precision)
        self._sizes: dict[int, Size] = {}

    def answers(self, pictures: Sequence[PictureFile], slots: Sequence[int]) -> Iterator[Answer]:
        """The answers, in the order in which they are found: pictures of one shape share a batch.

        Args:
            slots: the slot of each picture's object class, for a class-specific model; otherwise empty.
        """
        compute, finish = self._parts(slots) if self.model.kind != "proposals" else self._proposals()
        batches = batched(self._decoded(pictures), self.settings.batch_size, self._network.shape)
        found = fitting(self, batches, compute)
        ahead = 2 if getattr(self.settings, "crf", None) else self.settings.batch_size
        for _, answer in finished(self, found, finish, ahead=ahead):
            yield answer

    def reject(self, image_id: int, reason: str, detail: str) -> None:
        """A picture is left out."""
        self.left_out.append(LeftOut(image_id, reason, detail))

    def check_stop(self) -> None:
        """Nothing asks for a stop here: Ctrl-C raises KeyboardInterrupt by itself."""

    def _decoded(self, pictures: Sequence[PictureFile]) -> Iterator[tuple[int, Pixels]]:
        def load(number: int) -> Picture:
            try:
                data = pictures[number].path.read_bytes()
            except OSError as error:
                raise ImageFault("unreadable", error.strerror or str(error)) from None
            return decode(data, frame=lambda size: frame_of(size, self._network.longest))

        for number, picture in decode_ahead(range(len(pictures)), load):
            if isinstance(picture, ImageFault):
                self.reject(number, picture.reason, picture.detail)
            else:
                self._sizes[number] = picture.size
                yield number, picture.pixels

    def _parts(self, slots: Sequence[int]) -> tuple[Any, Any]:
        settings, num_parts = self.settings, self.model.network.num_classes

        def compute(numbers: list[int], pictures: list[Pixels]) -> Iterator[tuple[Callable[[], Parts], Pixels | None]]:
            jobs = [(pixels, slots[n] if slots else 0) for n, pixels in zip(numbers, pictures, strict=True)]
            for parts, pixels in zip(part_answers(self._network, jobs, settings), pictures, strict=True):
                yield parts, None if settings.crf is None else pixels

        def finish(number: int, found: tuple[Callable[[], Parts], Pixels | None]) -> Answer:
            answer, pixels = found
            parts = answer()
            if pixels is not None:
                parts = smoothed(parts, pixels, settings.crf)
            parts = parts.take(np.flatnonzero(runs.areas(parts.masks)))
            labels = parts.numbers + (num_parts * slots[number] if slots else 0)
            frame = (parts.masks.height, parts.masks.width)
            return self._answer(number, labels, np.minimum(parts.scores, 1), runs.strings(parts.masks), frame)

        return compute, finish

    def _proposals(self) -> tuple[Any, Any]:
        def compute(numbers: list[int], pictures: list[Pixels]) -> Iterator[Callable[[], BestQueries]]:
            return query_answers(self._network, pictures, self.settings)

        def finish(number: int, later: Callable[[], BestQueries]) -> Answer:
            best = later()
            rows = proposal_rows(number, best, self.settings)
            frame = (best.masks.height, best.masks.width)
            return self._answer(number, np.zeros(len(rows), np.int64), rows["score"], rows.ragged("rle"), frame)

        return compute, finish

    def _answer(
        self,
        number: int,
        labels: npt.NDArray[np.int64],
        scores: npt.NDArray[np.floating[Any]],
        rle: Ragged,
        frame: Size,
    ) -> Answer:
        size = self._sizes.pop(number)
        frames = np.tile(np.array([frame]), (len(rle), 1))
        return Answer(number, size, labels, scores, masks.resize_each(rle, frames, size))
