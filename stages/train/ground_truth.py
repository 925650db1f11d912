"""Scores of a network in training against the ground truth of other stores, by the kernels of the stage ``eval``.

A network with a plain head is scored by the recall of its queries, as the stage ``proposals`` would store them. One
with a class-specific head is given the object class and scored by mIoU and recall, as the stage ``predict`` would
answer. Both have the default settings of those stages, and see images as large as in training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pdstore import Rows
from pdstore.errors import InputMissing, StorageFailure, UsageError
from schemas.stages import EvalSettings, Precision, PredictSettings, ProposalsSettings
from schemas.tables import PREDICTIONS, PROPOSALS
from schemas.training import TrainSettings
from stages.evaluation.truth_store import Ints, TruthStore
from stages.kernels.evaluation import Evaluation
from stages.kernels.protocol import PROTOCOLS, Protocol
from stages.mask_columns import run_columns
from stages.models.answers import best_queries, chances, parts_of, proposal_rows
from stages.models.inference import Found, Inference
from stages.models.network import PartNetwork
from stages.source.listing import ImageClass
from stages.train.evaluation_mode import evaluation_mode, piece_size
from stages.train.process_group import ProcessGroup
from stages.unit import Unit

__all__ = ["GroundTruth"]

VOTERS, SCORED = "voters", "scored"


@dataclass(frozen=True, eq=False)
class _Benchmark:
    """One store, and what is scored of it.

    Attributes:
        name: names its values in the log.
        chosen: (block, (N,) image ids).
        slots: class_id in the store -> its slice of a class-specific head; None for a plain head.
        voters: split of the images that name the clusters instead of being scored; empty if there are none.
    """

    name: str
    truth: TruthStore
    chosen: Sequence[tuple[int, Ints]]
    slots: dict[int, int] | None
    voters: str


class GroundTruth:
    """The stores that a training is evaluated on. They are opened and checked at once, before the training starts.

    Args:
        settings: of the training: ``evaluate_stores``, how many images of which splits, and the protocol.
        classes: what the slices of a class-specific head stand for, in order; None for a plain head.
        group: its size says how many images are in the network at once. Only the first rank evaluates.

    Raises:
        UsageError: no store is named, or one has nothing to score.
        InputMissing: the ground truth of a store is not complete.
        StorageFailure: a store cannot be read.
    """

    def __init__(self, settings: TrainSettings, classes: Sequence[ImageClass] | None, group: ProcessGroup) -> None:
        if not settings.evaluate_stores:
            fix = "Set it to the store of a data set: pd init STORE --images DIR --dataset NAME"
            raise UsageError("evaluate_every is set, but evaluate_stores names no store", "evaluate_stores", fix)
        self._settings, self._size = settings, piece_size(settings, group)
        (self._protocol,) = PROTOCOLS[settings.evaluate_protocol]
        opened = [_opened(url, self._protocol) for url in settings.evaluate_stores]
        counts = Counter(truth.name for truth in opened)
        names = [t.name if counts[t.name] == 1 else f"{t.name}-{n}" for n, t in enumerate(opened, 1)]
        self._benchmarks = [self._benchmark(n, t, classes) for n, t in zip(names, opened, strict=True)]

    def scores(
        self, network: PartNetwork, precision: Precision, should_stop: Callable[[], bool] = lambda: False
    ) -> dict[str, float]:
        """``eval/<name>/<metric>`` in percent, and ``eval/<name>/images``, how many images were scored.

        ``mIoU`` is the mean over the pairs of object class and part, ``C-mIoU`` over object classes. No random number
        is drawn, and the network is left as it was. An image that cannot be read is left out.

        Raises:
            Preempted: ``should_stop`` returned True.
        """
        values: dict[str, float] = {}
        side, device = self._settings.augment.size_px, str(network.mean.device)
        with evaluation_mode(network):
            inference = Inference(network, device, side, precision)
            for benchmark in self._benchmarks:
                evaluation = self._evaluated(inference, benchmark, should_stop)
                found = evaluation.scores()
                metrics = {name: value for name, value in found.metrics.items() if name.startswith("AR@")}
                if benchmark.slots is not None:
                    metrics |= {"mIoU": found.metrics["A-mIoU"], "C-mIoU": found.metrics["C-mIoU"]}
                metrics["images"] = float(found.num_images)
                values |= {f"eval/{benchmark.name}/{name}": value for name, value in metrics.items()}
        return values

    def _benchmark(self, name: str, truth: TruthStore, classes: Sequence[ImageClass] | None) -> _Benchmark:
        settings = self._settings
        slots = None if classes is None else _slots(truth.classes, classes)
        # By the honest protocol, other images name the clusters; segments have none.
        voters = EvalSettings().vote_split if self._protocol.splits and slots is not None else ""

        def group(split: str) -> str:
            if split == voters:
                return VOTERS
            return SCORED if split in settings.evaluate_splits or not settings.evaluate_splits else ""

        chosen, counts = truth.chosen(group, settings.evaluate_images, slots)
        for needed, splits in ((SCORED, settings.evaluate_splits), (VOTERS, (voters,) if voters else None)):
            if splits is not None and not counts.get(needed):
                problem = f"no image of {' or '.join(map(repr, splits)) or 'any split'} has ground truth of its class"
                if slots is not None:
                    problem += f", among the {len(slots)} classes that the network knows, too"
                fix = (
                    f"Its splits are {truth.splits()}: set evaluate_splits or evaluate_protocol, or name another store"
                )
                raise InputMissing(problem, truth.layers["images"].store.url, fix)
        return _Benchmark(name, truth, chosen, slots, voters)

    def _evaluated(self, inference: Inference, benchmark: _Benchmark, should_stop: Callable[[], bool]) -> Evaluation:
        truth, network = benchmark.truth, inference.network
        clusters = network.num_classes if benchmark.slots is not None else 0
        evaluation = Evaluation(len(truth.parts), clusters, self._protocol)
        for block, image_ids in benchmark.chosen:
            unit = truth.unit(block, should_stop)
            if benchmark.slots is None:
                answers = dict(_proposals(inference, unit, image_ids, self._size))
                rows = Rows.concat(PROPOSALS, answers.values())
            else:
                targets = truth.categories(block, image_ids.tolist())
                jobs = {i: [(c, benchmark.slots[c]) for c in of if c in benchmark.slots] for i, of in targets.items()}
                answers = dict(_predictions(inference, unit, jobs, self._size))
                rows = Rows.concat(PREDICTIONS, answers.values())
            scored = truth.scored(block, answers, rows, bool(clusters))
            for _, sample in scored.samples(truth.parts, self._protocol, benchmark.voters):
                evaluation.add(sample)
        return evaluation


def _opened(url: str, protocol: Protocol) -> TruthStore:
    try:
        return TruthStore.open(url, protocol)
    except OSError as error:
        fix = "Is its disk mounted, or its server there? evaluate_every=0 trains without it"
        raise StorageFailure(f"the store to evaluate on cannot be read: {error}", url, fix) from error


def _slots(classes: Sequence[ImageClass], known: Sequence[ImageClass]) -> dict[int, int]:
    """class_id of a store -> number of the same class in ``known``: of the same code, else of the same name."""
    numbers = {c.name.lower(): c.class_id for c in known} | {c.wnid.lower(): c.class_id for c in known}
    found = {c.class_id: numbers.get(c.wnid.lower(), numbers.get(c.name.lower())) for c in classes}
    return {class_id: slot for class_id, slot in found.items() if slot is not None}


def _proposals(inference: Inference, unit: Unit, image_ids: Ints, size: int) -> Iterator[tuple[int, Rows]]:
    """(image_id, its proposals), for every image that can be read."""
    for ids, pictures in unit.own_block.batches(size, inference.shape, image_ids, longest=inference.longest):
        for image_id, found in zip(ids, inference.queries(pictures), strict=True):
            settings = ProposalsSettings()
            yield image_id, proposal_rows(image_id, best_queries(found, settings), settings)


def _predictions(
    inference: Inference, unit: Unit, jobs: dict[int, list[tuple[int, int]]], size: int
) -> Iterator[tuple[int, Rows]]:
    """(image_id, its predicted parts), for every image that can be read.

    Args:
        jobs: image_id -> (category_id, slice of the head) of each object class whose parts are predicted.
    """
    for ids, pictures in unit.own_block.batches(size, inference.shape, jobs, longest=inference.longest):
        flat = [(n, *job) for n, image_id in enumerate(ids) for job in jobs[image_id]]
        answers: dict[int, list[Rows]] = {image_id: [] for image_id in ids}
        for first in range(0, len(flat), size):
            chunk = flat[first : first + size]
            queries = inference.queries([pictures[n] for n, _, _ in chunk], [slot for _, _, slot in chunk])
            for (n, category, _), found in zip(chunk, queries, strict=True):
                answers[ids[n]].append(_as_parts(ids[n], category, found))
        for image_id, rows in answers.items():
            yield image_id, Rows.concat(PREDICTIONS, rows)


def _as_parts(image_id: int, category: int, found: Found) -> Rows:
    parts = parts_of(chances([found]), PredictSettings())
    columns = run_columns(parts.masks)
    columns |= {
        "image_id": np.full(len(parts.numbers), image_id),
        "object_id": np.zeros(len(parts.numbers), int),
        "category_id": np.full(len(parts.numbers), category),
        "cluster": parts.numbers,
        "score": np.minimum(parts.scores, 1),
    }
    return Rows(PREDICTIONS, columns, partial=True)
