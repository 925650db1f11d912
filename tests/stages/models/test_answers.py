"""Proposals and part chances from the queries of a network."""

from __future__ import annotations

import numpy as np
import pytest

from pdstore import masks
from schemas.stages import PredictSettings, ProposalsSettings
from stages.models.answers import chances, parts_of, proposals_of
from stages.models.inference import Found
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


def test_chances_sum_over_all_queries(found: Found) -> None:
    """Class probability x mask probability, without the class "no object"."""
    expected = np.tensordot(found.classes[:, :-1].T, every_mask(found), 1)
    assert chances(found).shape == (CLASSES, *SIZE)
    np.testing.assert_allclose(chances(found), expected, rtol=1e-5)


def test_proposals_are_the_best_queries_with_a_pixel(found: Found) -> None:
    """Best first; those at or below the floor, without a pixel, or beyond the largest number are none."""
    rows = proposals_of(7, found, ProposalsSettings(min_score=0.4, max_proposals=9))
    scores, stack = 1 - found.classes[:, -1], every_mask(found) > 0.5
    wanted = [q for q in np.argsort(-scores, kind="stable") if scores[q] > 0.4 and stack[q].any()]
    assert rows["proposal_id"].tolist() == wanted[:9] and len(wanted) > 9
    assert set(rows["image_id"].tolist()) == {7}
    assert (masks.decode(rows.ragged("rle"), *SIZE) == stack[wanted[:9]]).all()
    assert (rows["feature"] == found.features[wanted[:9]].astype(np.float16)).all()


def test_a_pixel_is_of_its_likeliest_part() -> None:
    """If that chance is above the threshold; a part that is too small is none."""
    chance = np.zeros((3, 10, 10), np.float32)
    chance[0, :5], chance[1, 4:], chance[2, 9, 9] = 0.5, 0.7, 0.9
    parts, stack = parts_of(chance, PredictSettings(threshold=0.4, min_area_ratio=0.05))
    assert parts.tolist() == [0, 1] and stack[0, :4].all() and stack[1, 4:9].all() and not (stack[0] & stack[1]).any()
    assert parts_of(chance, PredictSettings(threshold=0.6, min_area_ratio=0.0))[0].tolist() == [1, 2]
