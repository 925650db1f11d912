"""What a network's queries mean: proposals, or the parts of an object class, for inference and trainings alike.

Each answer is made in two steps. The first works on the network's device, and gives what its run lengths are made of;
the second makes rows of that on the host, and needs no torch, so it can run in a thread behind the network. On a GPU
the first does so too (:func:`~stages.device.streams.aside`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pdstore import Rows, masks, runs
from pdstore.runs import Runs
from schemas.stages import CrfSettings, PredictSettings, ProposalsSettings
from schemas.tables import PROPOSALS
from stages.device.streams import aside
from stages.kernels.crf import smooth
from stages.mask_columns import run_columns
from stages.models.inference import Found, Inference, Looked
from stages.models.mask_changes import label_changes

__all__ = [
    "BestQueries",
    "Parts",
    "best_queries",
    "chances",
    "part_answers",
    "parts_of",
    "proposal_rows",
    "query_answers",
    "smoothed",
]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class BestQueries:
    """The N queries of one picture that score above the floor, best first, on the host.

    Attributes:
        queries: (N,) int64, their numbers.
        scores: (N,) float32, 1 - probability of "no object".
        features: (N, D) float16.
        masks: N masks in the picture's frame; some may be empty.
    """

    queries: Ints
    scores: Floats
    features: npt.NDArray[np.float16]
    masks: Runs


def best_queries(found: Found, settings: ProposalsSettings) -> BestQueries:
    """Every query that scores above the floor. The masks of the others are not brought to the size of the picture."""
    scores = 1 - found.classes[:, -1]
    best = np.argsort(-scores, kind="stable")
    best = best[scores[best] > settings.min_score]
    return BestQueries(best, scores[best], found.features[best].astype(np.float16), found.runs(best))


def query_answers(
    network: Inference, pictures: Sequence[Pixels], settings: ProposalsSettings, classes: Sequence[int] | None = None
) -> Iterator[Callable[[], BestQueries]]:
    """What finds :func:`best_queries` of each picture of a batch, for the thread behind the network."""
    looked = network.look(pictures, classes)
    for number in range(len(pictures)):
        yield aside(network.device, partial(_best, looked, number, settings))


def _best(looked: Looked, number: int, settings: ProposalsSettings) -> BestQueries:
    return best_queries(looked.found(number), settings)


def proposal_rows(image_id: int, best: BestQueries, settings: ProposalsSettings) -> Rows:
    """Rows of ``proposals``, best first: those with a pixel, at most ``max_proposals``."""
    kept = np.flatnonzero(runs.areas(best.masks))[: settings.max_proposals]
    columns = run_columns(best.masks.take(kept))
    columns |= {"image_id": image_id, "proposal_id": best.queries[kept], "score": best.scores[kept]}
    return Rows.filled(PROPOSALS, len(kept), columns | {"feature": best.features[kept]})


@torch.inference_mode()
def chances(found: Sequence[Found]) -> Tensor:
    """(K, H, W) float32 on the network's device: the chance of each class at each pixel of one picture.

    It is the sum over queries of class x mask probability, and the mean of that over several answers about the picture.
    """
    total = torch.zeros(found[0].classes.shape[1] - 1, *found[0].size, device=found[0].logits.device)
    flat = total.flatten(1)
    for answer in found:
        for queries, probabilities in answer.probabilities(np.arange(len(answer.classes))):
            weights = torch.from_numpy(answer.classes[queries, :-1]).to(total.device)
            flat.addmm_(weights.T, probabilities.flatten(1))
    return total.div_(len(found))


@dataclass(frozen=True, eq=False)
class Parts:
    """The M parts of one picture that are large enough, on the host.

    Attributes:
        numbers: (M,) int64, which parts.
        scores: (M,) float64, the mean chance of their pixels.
        masks: M disjoint masks in the picture's frame.
        chances: (M, H, W) float32, the chance of each part at each pixel, if they were asked for.
    """

    numbers: Ints
    scores: npt.NDArray[np.float64]
    masks: Runs
    chances: Floats | None = None

    def take(self, index: npt.ArrayLike) -> Parts:
        """The parts at ``index`` ((L,) int)."""
        picked = np.asarray(index, np.int64)
        kept = None if self.chances is None else self.chances[picked]
        return Parts(self.numbers[picked], self.scores[picked], self.masks.take(picked), kept)


@torch.inference_mode()
def parts_of(chance: Tensor, settings: PredictSettings, *, keep_chances: bool = False) -> Parts:
    """A pixel is of its likeliest part, the first of equal ones, if the chance of that is above the threshold.

    Args:
        chance: (K, H, W) float32, as :func:`chances` gives it.
        keep_chances: copy the chances of the parts that are found to the host, for whoever changes their masks.
    """
    top, labels = chance.max(0)
    labels[top <= float(np.float32(settings.threshold))] = -1
    masks = runs.from_label_changes(*label_changes(labels), len(chance), *labels.shape)
    numbers = np.flatnonzero(runs.areas(masks) / labels.numel() > settings.min_area_ratio)
    masks = masks.take(numbers)
    # Part by part: a sum of all parts at once by atomic additions would differ from run to run on a GPU.
    sums = [torch.where(labels == part, top, 0.0).sum(dtype=torch.float64) for part in numbers.tolist()]
    totals = torch.stack(sums).cpu().numpy() if sums else np.zeros(0)
    kept = chance[torch.from_numpy(numbers).to(chance.device)].cpu().numpy() if keep_chances else None
    return Parts(numbers, totals / runs.areas(masks), masks, kept)


def part_answers(
    network: Inference, jobs: Sequence[tuple[Pixels, int]], settings: PredictSettings
) -> Iterator[Callable[[], Parts]]:
    """What finds the parts in each picture, for the thread behind the network; a batch at a time is in the network.

    Args:
        jobs: (picture (H, W, 3) uint8 RGB, slot of its object class in a class-specific head; 0 for a plain head).
            The pictures have one shape in the network.
    """
    for first in range(0, len(jobs), settings.batch_size):
        pictures, slots = zip(*jobs[first : first + settings.batch_size], strict=True)
        looks = [network.look(pictures, slots, flip=flip) for flip in ((False, True) if settings.flip else (False,))]
        for number in range(len(pictures)):
            yield aside(network.device, partial(_parts, looks, number, settings))


def _parts(looks: Sequence[Looked], number: int, settings: PredictSettings) -> Parts:
    found = [looked.found(number) for looked in looks]
    return parts_of(chances(found), settings, keep_chances=settings.crf is not None)


def smoothed(parts: Parts, pixels: Pixels, crf: CrfSettings) -> Parts:
    """The same parts after a dense CRF on their picture; some may be empty. Their chances must have been kept."""
    stack = masks.decode(runs.strings(parts.masks), *pixels.shape[:2])
    stack = smooth(pixels, stack, **crf.model_dump())
    assert parts.chances is not None, "they are kept for the CRF"
    pairs = zip(parts.chances, stack, strict=True)
    scores = [chance[mask].mean(dtype=np.float64) if mask.any() else 0.0 for chance, mask in pairs]
    return replace(parts, masks=runs.from_masks(stack), scores=np.array(scores))
