"""The two evaluation protocols: average recall of proposals, and part segmentation after a majority vote.

Source: the evaluators of the original code. *Reference* is assisted by an oracle (object masks are given, poor
predictions are dropped, and the vote is taken on the scored images themselves); *honest* is not. Memory does not grow
with the number of images: an :class:`Evaluation` holds counts, and the counts of different images add up, so any
number of processes can share the images.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pdstore import masks, runs
from pdstore.ragged import Ragged
from stages.kernels.confusion import ClassScores, class_scores, confusion, majority_vote
from stages.kernels.overlap import joint_pixels, shown_pixels, unique_iou
from stages.kernels.protocol import Protocol
from stages.kernels.recall import IOU_THRESHOLDS, recalled

__all__ = ["RECALL_AT", "Evaluation", "ImageResult", "Scores", "evaluate", "true_parts_inside"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RECALL_AT = (1, 10, 50, 100, 200)


@dataclass(frozen=True, eq=False)
class ImageResult:
    """Ground truth and predictions of one image.

    Attributes:
        object_mask: (H, W) bool or run lengths, or None if the protocol does not need it.
        gt_masks: G parts in listed order, (G, H, W) bool or run lengths; later parts are painted over earlier ones.
        gt_parts: (G,) int, 0..num_parts − 1.
        pred_masks: N predictions in the same form.
        pred_clusters: (N,) int, 0..num_clusters − 1; ignored if there are no clusters.
        pred_scores: (N,) float, used by average recall only.
        size: (H, W), needed if no mask is an array.
        votes: whether the image names clusters instead of being scored, under a protocol that splits.
    """

    image_id: int
    object_class: int
    object_mask: Bools | bytes | None
    gt_masks: Bools | Ragged
    gt_parts: npt.ArrayLike
    pred_masks: Bools | Ragged
    pred_clusters: npt.ArrayLike
    pred_scores: npt.ArrayLike
    size: tuple[int, int] | None = None
    votes: bool = False

    @property
    def frame(self) -> tuple[int, int]:
        """(H, W) from ``size`` or the first mask that is an array.

        Raises:
            ValueError: if there is no size and no array.
        """
        if self.size is not None:
            return self.size
        for array in (self.object_mask, self.gt_masks, self.pred_masks):
            if isinstance(array, np.ndarray):
                return int(array.shape[-2]), int(array.shape[-1])
        raise ValueError(f"image {self.image_id}: H and W do not follow from run lengths alone; give size=(H, W)")


@dataclass(frozen=True, eq=False)
class Scores:
    """The result of :meth:`Evaluation.scores`, in percent (0..100); NaN where there was nothing to score.

    Attributes:
        metrics: ``C-mIoU``, ``A-mIoU``, ``C-mACC``, ``A-mACC``, ``C-mIoPred``, ``A-mIoPred`` and ``AR@n``. C- is the
            mean over object classes, A- the mean over (object class, part) pairs. ``C-mIoU-oracle`` and
            ``A-mIoU-oracle`` are the scores that the same masks would reach if each were named after the part that it
            overlaps most (reference setting ``USE_ORACLE_CLASSIFIER``). Without clusters there are only ``AR@n``, for
            overlapping proposals, and ``AR@n-unique``, with one label per pixel.
        class_miou: object class -> its mIoU.
        part_iou: (object class, part) -> IoU, for the pairs in the ground truth.
        vote: object class -> (K,) part of each cluster, num_parts = background.
        confusion: object class -> (P + 1, P + 1) pixels of predicted part × true part, P = background.
        num_images: number of images that were scored.
        num_voters: number of images that named clusters.
    """

    metrics: dict[str, float]
    class_miou: dict[int, float]
    part_iou: dict[tuple[int, int], float]
    vote: dict[int, Ints]
    confusion: dict[int, Ints]
    num_images: int
    num_voters: int


@dataclass(eq=False)
class Evaluation:
    """Counts over images: :meth:`add` each image once, combine counts with ``+``, then call :meth:`scores`.

    Args:
        num_clusters: 0 for proposals, which have no clusters: only their recall is counted.
        recall_at: the values n of AR@n.
    """

    num_parts: int
    num_clusters: int
    protocol: Protocol
    recall_at: Sequence[int] = RECALL_AT
    _voted: dict[int, Ints] = field(default_factory=dict, repr=False)
    _scored: dict[int, Ints] = field(default_factory=dict, repr=False)
    _oracle: dict[int, Ints] = field(default_factory=dict, repr=False)
    _recalled: Ints = field(init=False, repr=False)
    _num_gt: int = 0
    _num_images: int = 0
    _num_voters: int = 0

    def __post_init__(self) -> None:
        self._kinds = ("",) if self.num_clusters else ("", "-unique")
        self._recalled = np.zeros((len(self._kinds), len(self.recall_at), len(IOU_THRESHOLDS)), np.int64)

    def add(self, image: ImageResult) -> None:
        """Count one image.

        Raises:
            ValueError: if lengths differ, a part or cluster is out of range, or the object mask that the protocol
                needs is missing.
        """
        size, where = image.frame, f"image {image.image_id}"
        truth, predicted = _encoded(image.gt_masks), self._predicted(image)
        parts = _ids(image.gt_parts, len(truth), self.num_parts, f"{where}: gt_parts")
        scores = np.asarray(image.pred_scores, np.float64)
        if len(scores) != len(predicted):
            raise ValueError(f"{where}: pred_scores: expected {len(predicted)} numbers, found {len(scores)}")
        iou = masks.iou(predicted, truth, *size)
        votes = self.protocol.splits and image.votes
        if self.num_clusters:
            clusters = _ids(image.pred_clusters, len(predicted), self.num_clusters, f"{where}: pred_clusters")
            kept = np.flatnonzero(iou.max(1, initial=0.0) > self.protocol.min_iou)
            shown = shown_pixels(predicted.take(kept), truth, *size)
            joint = joint_pixels(shown, clusters[kept], parts, (self.num_clusters + 1, self.num_parts + 1))
            _add_to(self._voted if votes else self._scored, {image.object_class: joint})
            if not votes:
                best = _best_part(iou[kept], parts, self.num_parts)
                joint = joint_pixels(shown, best, parts, (self.num_parts + 1, self.num_parts + 1))
                _add_to(self._oracle, {image.object_class: joint})
        if votes:
            self._num_voters += 1
            return
        self._num_images += 1
        self._num_gt += len(truth)
        self._recalled[0] += self._count_recalled(iou, scores)
        if not self.num_clusters:
            self._recalled[1] += self._count_recalled(unique_iou(predicted, scores, truth, *size), scores)

    def __add__(self, other: Evaluation) -> Evaluation:
        """The counts of both. No image may be in both.

        Raises:
            ValueError: if their settings differ.
        """
        mine, theirs = self._settings(), other._settings()
        if mine != theirs:
            raise ValueError(f"evaluations with different settings cannot be added: {mine} and {theirs}")
        total = copy.deepcopy(self)
        _add_to(total._voted, other._voted)
        _add_to(total._scored, other._scored)
        _add_to(total._oracle, other._oracle)
        total._recalled += other._recalled
        total._num_gt += other._num_gt
        total._num_images += other._num_images
        total._num_voters += other._num_voters
        return total

    def scores(self, taught: Mapping[int, Ints] | None = None) -> Scores:
        """Vote, then score every object class.

        Args:
            taught: object class -> (K,) part of each cluster (P = background), for a model that was taught the names
                of the parts; without it, the vote names the clusters.
        """
        empty = 0 if self.protocol.empty_vote == "first part" else self.num_parts
        nothing = np.zeros((self.num_clusters + 1, self.num_parts + 1), np.int64)
        voted = self._voted if self.protocol.splits else self._scored
        vote = {c: majority_vote(voted.get(c, nothing), empty) for c in sorted({*voted, *self._scored})}
        vote |= {c: parts for c, parts in (taught or {}).items() if c in vote}
        counts = {c: confusion(self._scored[c], vote[c]) for c in sorted(self._scored)}
        by_class = {c: class_scores(pixels) for c, pixels in counts.items()}
        part_iou = {(c, int(p)): 100 * float(s.iou[p]) for c, s in by_class.items() for p in _present(s.iou)}
        metrics = _means(list(by_class.values())) if self.num_clusters else {}
        for kind, hits in zip(self._kinds, self._recalled, strict=True):
            recall = 100 * hits.mean(1) / self._num_gt if self._num_gt else np.full(len(hits), np.nan)
            metrics |= {f"AR@{n}{kind}": float(value) for n, value in zip(self.recall_at, recall, strict=True)}
        metrics |= self._oracle_means() if self.num_clusters else {}
        class_miou = {c: 100 * s.mean_iou for c, s in by_class.items()}
        return Scores(metrics, class_miou, part_iou, vote, counts, self._num_images, self._num_voters)

    def _oracle_means(self) -> dict[str, float]:
        identity = np.arange(self.num_parts)
        classes = [class_scores(confusion(self._oracle[c], identity)) for c in sorted(self._oracle)]
        return {f"{name}-oracle": value for name, value in _means(classes).items() if name.endswith("mIoU")}

    def _settings(self) -> tuple[object, ...]:
        return self.num_parts, self.num_clusters, self.protocol, tuple(self.recall_at)

    def _predicted(self, image: ImageResult) -> Ragged:
        predicted, outline = _encoded(image.pred_masks), image.object_mask
        if not self.protocol.cuts_to_object:
            return predicted
        if outline is None:
            raise ValueError(f"image {image.image_id}: protocol {self.protocol.name} needs an object mask")
        whole = Ragged.from_list([outline]) if isinstance(outline, bytes) else masks.encode(outline[None])
        size = image.frame
        return runs.strings(runs.intersect(runs.read(predicted, *size), runs.read(whole, *size)))

    def _count_recalled(self, iou: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]) -> Ints:
        usable = iou.max(1, initial=0.0) > self.protocol.min_iou_recall
        return recalled(iou[usable], scores[usable], self.recall_at)


def evaluate(
    images: Iterable[ImageResult],
    protocol: Protocol,
    *,
    num_parts: int,
    num_clusters: int,
    recall_at: Sequence[int] = RECALL_AT,
) -> Scores:
    """Scores of the images, which are read once, one at a time."""
    evaluation = Evaluation(num_parts, num_clusters, protocol, recall_at)
    for image in images:
        evaluation.add(image)
    return evaluation.scores()


def true_parts_inside(image: ImageResult) -> ImageResult:
    """The image with other predictions: the true parts, cut to the pixels that its own predictions cover together."""
    size, truth = image.frame, _encoded(image.gt_masks)
    covered = Ragged.from_list([masks.union(_encoded(image.pred_masks), *size)])
    inside = runs.strings(runs.intersect(runs.read(truth, *size), runs.read(covered, *size)))
    return replace(image, pred_masks=inside, pred_clusters=image.gt_parts, pred_scores=np.ones(len(truth)))


def _means(classes: list[ClassScores]) -> dict[str, float]:
    columns = {
        "mIoU": ([s.mean_iou for s in classes], [s.iou for s in classes]),
        "mACC": ([s.mean_accuracy for s in classes], [s.accuracy for s in classes]),
        "mIoPred": ([s.mean_precision for s in classes], [s.precision for s in classes]),
    }
    means = {}
    for name, (of_class, of_part) in columns.items():
        pairs = np.concatenate(of_part) if of_part else np.zeros(0)
        pairs = pairs[_present(pairs)]
        means[f"C-{name}"] = 100 * float(np.mean(of_class)) if of_class else float("nan")
        means[f"A-{name}"] = 100 * float(pairs.mean()) if len(pairs) else float("nan")
    return means


def _best_part(iou: npt.NDArray[np.float64], parts: Ints, background: int) -> Ints:
    """(N,) the part that each prediction overlaps most, or the background if it overlaps none."""
    return np.asarray(np.append(background, parts)[np.insert(iou, 0, 0.0, axis=1).argmax(1)], np.int64)


def _present(values: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    return np.flatnonzero(~np.isnan(values))


def _add_to(counts: dict[int, Ints], more: dict[int, Ints]) -> None:
    for object_class, joint in more.items():
        counts[object_class] = counts.get(object_class, 0) + joint


def _encoded(stack: Bools | Ragged) -> Ragged:
    return stack if isinstance(stack, Ragged) else masks.encode(stack)


def _ids(values: npt.ArrayLike, length: int, stop: int, what: str) -> Ints:
    ids = np.asarray(values, np.int64).reshape(-1)
    if len(ids) != length or (length and (ids.min() < 0 or ids.max() >= stop)):
        raise ValueError(f"{what}: expected {length} numbers in 0..{stop - 1}, found {ids.tolist()}")
    return ids
