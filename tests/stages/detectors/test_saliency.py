"""The detector without weights."""

from __future__ import annotations

import numpy as np
import pytest

from pdstore.errors import UsageError
from schemas.stages import DeticSettings
from stages.detectors import ANY, saliency
from stages.kernels.saliency import salient_object


def patch(seed: int) -> np.ndarray:
    """A bright patch on dark noise."""
    pixels = np.random.default_rng(seed).integers(0, 40, (48, 64, 3))
    pixels[10:34, 20:44] += np.array([200, 150, 30])
    return pixels.astype(np.uint8)


def test_the_words_make_no_difference(bench) -> None:
    """A picture has one candidate, the salient object, whatever is wanted; other pictures get no answer."""
    pictures = [patch(0), patch(1), patch(2)]
    seen = saliency.start(DeticSettings(backend="saliency"), bench.setup()).look(pictures)
    answers = [seen.find({0: words, 2: words}) for words in (("cat",), ("dog", "cow"), ANY)]
    for found in answers:
        assert found.keys() == {0, 2}
        for number, candidates in found.items():
            expected = salient_object(pictures[number])
            assert np.array_equal(candidates.masks, expected.mask[None]) and expected.mask.any()
            assert candidates.scores.tolist() == [np.float32(expected.score)]


def test_pictures_of_any_size_go_together(bench) -> None:
    """All have the same shape key, and each mask has the pixels of its own picture."""
    detector = saliency.start(DeticSettings(backend="saliency"), bench.setup())
    pictures = [patch(0), patch(1)[:40, :50]]
    assert detector.shape(pictures[0]) == detector.shape(pictures[1])
    found = detector.look(pictures).find({0: ANY, 1: ANY})
    assert [found[i].masks.shape for i in (0, 1)] == [(1, 48, 64), (1, 40, 50)]


def test_people_are_not_known(bench) -> None:
    """Mode human-only needs a backend that knows what it sees; the error names both and says what to do."""
    with pytest.raises(UsageError, match=r"detic\.mode: .*backend saliency, found human-only.*Use another backend"):
        saliency.start(DeticSettings(backend="saliency", mode="human-only"), bench.setup())
    detector = saliency.start(DeticSettings(backend="saliency"), bench.setup())
    with pytest.raises(UsageError, match="found human-only"):
        detector.sibling(DeticSettings(backend="saliency", mode="human-only"), bench.setup())
