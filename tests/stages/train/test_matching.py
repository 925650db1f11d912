from __future__ import annotations

from itertools import permutations

import pytest
import torch

from schemas.training import TrainSettings
from stages.train.matching import match, sample

SETTINGS = TrainSettings()


def random_case(layers: int, queries: int, masks: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class logits (L, 1, Q, 4), mask logits (L, Q, 20), targets (N, 20) and labels (N,)."""
    source = torch.Generator().manual_seed(queries * masks)
    class_logits = torch.randn(layers, 1, queries, 4, generator=source)
    logits = 3 * torch.randn(layers, queries, 20, generator=source)
    targets = (torch.rand(masks, 20, generator=source) > 0.5).float()
    return class_logits, logits, targets, torch.randint(0, 3, (masks,), generator=source)


def cost(probabilities: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, label: int) -> float:
    """The cost of one query for one mask, as in the paper."""
    mask = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    inside = logits.sigmoid()
    dice = 1 - (2 * (inside * target).sum() + 1) / (inside.sum() + target.sum() + 1)
    return float(
        SETTINGS.mask_weight * mask + SETTINGS.dice_weight * dice - SETTINGS.class_weight * probabilities[label]
    )


@pytest.mark.parametrize(("queries", "masks"), [(3, 3), (5, 2), (4, 1)])
def test_the_assignment_is_the_cheapest(queries: int, masks: int) -> None:
    """No other choice of queries has a lower cost, in any layer."""
    class_logits, logits, targets, labels = random_case(2, queries, masks)
    (matched,) = match(class_logits, [logits], [targets], [labels], SETTINGS)
    assert matched.shape == (2, masks) and matched.dtype == torch.int64
    for layer in range(2):
        probabilities = class_logits[layer, 0].softmax(-1)

        def total(chosen: tuple[int, ...], layer: int = layer, probabilities: torch.Tensor = probabilities) -> float:
            return sum(
                cost(probabilities[q], logits[layer, q], targets[n], int(labels[n])) for n, q in enumerate(chosen)
            )

        best = min(permutations(range(queries), masks), key=total)
        assert tuple(matched[layer].tolist()) == best


def test_images_are_matched_independently() -> None:
    """A batch gives each image the queries that it gets alone; an image without masks gets none."""
    cases = [random_case(2, 4, masks) for masks in (3, 0, 2)]
    class_logits = torch.cat([case[0] for case in cases], 1)
    together = match(class_logits, *([case[k] for case in cases] for k in (1, 2, 3)), SETTINGS)
    for case, matched in zip(cases, together, strict=True):
        (alone,) = match(case[0], [case[1]], [case[2]], [case[3]], SETTINGS)
        assert torch.equal(matched, alone)
    assert together[1].shape == (2, 0)


def test_a_cost_that_is_not_finite_is_the_last_resort() -> None:
    """A query with NaN is matched only if there are too few other queries."""
    class_logits, logits, targets, labels = random_case(1, 3, 2)
    logits[0, 0] = float("nan")
    (matched,) = match(class_logits, [logits], [targets], [labels], SETTINGS)
    assert sorted(matched[0].tolist()) == [1, 2]
    logits[0, 1] = float("nan")
    (matched,) = match(class_logits, [logits], [targets], [labels], SETTINGS)
    assert 2 in matched[0].tolist()


def test_maps_are_read_between_pixels_and_are_zero_outside() -> None:
    """A point in the middle of a pixel has its value; between two pixels it has their mean."""
    maps = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    points = torch.tensor([[[0.25, 0.25], [0.75, 0.25], [0.5, 0.25], [0.5, 0.5], [2.0, 2.0]]])
    assert sample(maps, points).tolist() == [[[1.0, 3.0, 2.0, 4.0, 0.0]]]
