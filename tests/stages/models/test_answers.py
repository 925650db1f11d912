"""Proposals and part chances from the queries of a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pdstore import Rows, masks, runs
from schemas.stages import PredictSettings, ProposalsSettings
from stages.models.answers import best_queries, chances, parts_of, proposal_rows
from stages.models.inference import Found
from tests.stages.models import dense_answers
from tests.stages.models.answers import answer, every_mask

RNG = np.random.default_rng(0)
QUERIES, CLASSES, SIZE = 40, 3, (24, 32)


@pytest.fixture
def found() -> Found:
    """40 queries, more than are brought to the size of the picture at once; some without a pixel."""
    classes = RNG.dirichlet(np.ones(CLASSES + 1), QUERIES).astype(np.float32)
    probabilities = RNG.random((QUERIES, *SIZE), np.float32)
    probabilities[::7] /= 3
    return answer(classes, probabilities, RNG.random((QUERIES, 5), np.float32))


def proposals(found: Found, **settings: float) -> Rows:
    chosen = ProposalsSettings.model_validate(settings)
    return proposal_rows(7, best_queries(found, chosen), chosen)


def test_chances_sum_over_all_queries(found: Found) -> None:
    """Class probability x mask probability, without the class "no object"; of two answers, the mean."""
    expected = np.tensordot(found.classes[:, :-1].T, every_mask(found), 1)
    assert chances([found]).shape == (CLASSES, *SIZE)
    np.testing.assert_allclose(chances([found]).numpy(), expected, rtol=1e-5)
    other = answer(found.classes[::-1].copy(), every_mask(found), found.features)
    both = (expected + np.tensordot(other.classes[:, :-1].T, every_mask(other), 1)) / 2
    np.testing.assert_allclose(chances([found, other]).numpy(), both, rtol=1e-5)


def test_proposals_are_the_best_queries_with_a_pixel(found: Found) -> None:
    """Best first; those at or below the floor, without a pixel, or beyond the largest number are none."""
    rows = proposals(found, min_score=0.4, max_proposals=9)
    scores, stack = 1 - found.classes[:, -1], every_mask(found) > 0.5
    wanted = [q for q in np.argsort(-scores, kind="stable") if scores[q] > 0.4 and stack[q].any()]
    assert rows["proposal_id"].tolist() == wanted[:9] and len(wanted) > 9
    assert set(rows["image_id"].tolist()) == {7}
    assert (masks.decode(rows.ragged("rle"), *SIZE) == stack[wanted[:9]]).all()
    assert (rows["feature"] == found.features[wanted[:9]].astype(np.float16)).all()


@pytest.mark.parametrize("size", [(24, 32), (1, 9), (9, 1), (1, 1)])
@pytest.mark.parametrize("num_queries", [1, 33])
def test_proposals_are_those_of_pixels_on_the_host(size: tuple[int, int], num_queries: int) -> None:
    """Every column is equal, byte for byte: with masks of no pixel and of all, and a probability of just one half."""
    rng = np.random.default_rng(num_queries)
    classes = rng.dirichlet(np.ones(3), num_queries).astype(np.float32)
    features = rng.random((num_queries, 5), np.float32)
    logits = rng.normal(0, 2, (num_queries, 6, 8)).astype(np.float32)
    logits[::5], logits[1::5], logits[2::5] = -9, 9, 1e-9
    found = Found(classes, features, torch.from_numpy(logits), size)
    for settings in (ProposalsSettings(), ProposalsSettings(min_score=0.7, max_proposals=4)):
        expected = dense_answers.proposals_of(7, found, settings)
        rows = proposals(found, **settings.model_dump())
        assert {n: v.tobytes() for n, v in rows.columns.items() if n != "rle"} == {
            n: v.tobytes() for n, v in expected.columns.items() if n != "rle"
        }
        assert rows.ragged("rle") == expected.ragged("rle")


def test_a_pixel_is_of_its_likeliest_part() -> None:
    """If that chance is above the threshold; a part that is too small is none."""
    chance = np.zeros((3, 10, 10), np.float32)
    chance[0, :5], chance[1, 4:], chance[2, 9, 9] = 0.5, 0.7, 0.9
    parts = parts_of(torch.from_numpy(chance), PredictSettings(threshold=0.4, min_area_ratio=0.05))
    stack = masks.decode(runs.strings(parts.masks), 10, 10)
    assert parts.numbers.tolist() == [0, 1]
    assert stack[0, :4].all() and stack[1, 4:9].all() and not (stack[0] & stack[1]).any()
    assert parts.scores.tolist() == pytest.approx([0.5, 0.7])
    high = parts_of(torch.from_numpy(chance), PredictSettings(threshold=0.6, min_area_ratio=0.0))
    assert high.numbers.tolist() == [1, 2] and high.chances is None


@pytest.mark.parametrize("size", [(24, 32), (1, 40), (40, 1), (1, 1)])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_parts_are_those_of_pixels_on_the_host(size: tuple[int, int], threshold: float) -> None:
    """Also where chances are equal, or equal to the threshold; scores are means of 64-bit sums."""
    chance = np.random.default_rng(0).integers(0, 11, (5, *size)).astype(np.float32) / np.float32(10)
    chance[3] = 0
    for min_area_ratio in (0.0, 0.2):
        settings = PredictSettings(threshold=threshold, min_area_ratio=min_area_ratio)
        numbers, stack = dense_answers.parts_of(chance, settings)
        parts = parts_of(torch.from_numpy(chance), settings, keep_chances=True)
        assert parts.numbers.tolist() == numbers.tolist()
        assert runs.strings(parts.masks) == masks.encode(stack)
        assert parts.chances is not None and (parts.chances == chance[numbers]).all()
        means = [chance[n][mask].mean(dtype=np.float64) for n, mask in zip(numbers, stack, strict=True)]
        assert parts.scores.tolist() == pytest.approx(means, rel=1e-12)
        some = parts.take([len(numbers) - 1] if len(numbers) else [])
        assert some.numbers.tolist() == numbers[-1:].tolist() and some.scores.tolist() == parts.scores[-1:].tolist()
        assert runs.strings(some.masks) == masks.encode(stack[-1:])


def test_nothing_above_the_threshold_is_no_part() -> None:
    """There are no rows, and no chances."""
    parts = parts_of(torch.zeros(3, 4, 5), PredictSettings(), keep_chances=True)
    assert len(parts.numbers) == len(parts.scores) == len(parts.masks) == 0
    assert parts.chances is not None and parts.chances.shape == (0, 4, 5)
