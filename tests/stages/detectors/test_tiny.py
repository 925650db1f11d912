"""The small segmenter as a detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdstore.errors import UsageError
from schemas.stages import DeticSettings
from schemas.training import NetworkSettings
from stages.detectors import ANY, tiny
from stages.models.inference import Found, Inference
from stages.models.network import build
from stages.models.network_files import network_files, write_files
from tests.stages.models.answers import every_mask

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=6)
NAMES = ["cat", "dog", "person", "woman"]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network with random weights for four classes."""
    folder = tmp_path_factory.mktemp("segmenter")
    write_files(network_files(build(SMALL, len(NAMES), seed=3), NAMES), folder)
    return folder


@pytest.fixture
def start(bench, model: Path) -> Callable[..., tiny.TinyDetector]:
    def run(**settings: Any) -> tiny.TinyDetector:
        return tiny.start(DeticSettings(backend="tiny", **settings), bench.setup(models={"model": model}))

    return run


@pytest.fixture
def queries(model: Path, photographs: list[np.ndarray]) -> list[Found]:
    """The queries of the network itself, for each photograph."""
    long_side = DeticSettings().long_side
    return [Inference(model, "cpu", long_side).queries([pixels])[0] for pixels in photographs]


def expected_scores(found: Found, chances: np.ndarray) -> np.ndarray:
    """Class probability × mean mask probability inside the mask; 0 for an empty mask."""
    inside = [mask[mask > 0.5].mean() if (mask > 0.5).any() else 0.0 for mask in every_mask(found)]
    return np.sort(chances * np.array(inside))[::-1]


@pytest.mark.parametrize("words", [("cat",), ("person", "woman"), ("person", "horse"), ANY])
def test_scores_are_class_times_mask_probability(
    words: tuple[str, ...], start, queries: list[Found], photographs: list[np.ndarray]
) -> None:
    """The chances of several words add up, unknown words add nothing, and without words the best class counts."""
    columns = [NAMES.index(word) for word in words if word in NAMES]
    for pixels, found in zip(photographs, queries, strict=True):
        chances = found.classes[:, columns].sum(1) if words else found.classes[:, :-1].max(1)
        candidates = start(min_score=0.0).look([pixels]).find({0: words})[0]
        assert candidates.scores == pytest.approx(expected_scores(found, chances), abs=1e-5)
        assert candidates.masks.shape == (SMALL.num_queries, *pixels.shape[:2])


def test_the_class_probability_alone_must_exceed_the_floor(start, queries, photographs) -> None:
    """A query between two chances of a class is the limit: those above it stay, the others are left out."""
    chances = np.sort(queries[0].classes[:, 0])
    floor = float(chances[2:4].mean())
    candidates = start(min_score=floor).look(photographs[:1]).find({0: ("cat",)})[0]
    assert len(candidates.scores) == (chances > floor).sum() == SMALL.num_queries - 3


def test_a_word_that_the_network_does_not_know_has_no_candidates(start, photographs) -> None:
    """Its chance is 0, which exceeds no floor."""
    candidates = start(min_score=0.0).look(photographs[:1]).find({0: ("horse",)})[0]
    assert candidates.masks.shape == (0, 48, 64) and candidates.scores.shape == (0,)


def test_a_model_is_needed(bench) -> None:
    """The error names the backend and the input, and says how to give it or do without."""
    match = (
        r"detic: backend tiny needs an input 'model', but there is none\. .*inputs: \{model: NODE\}.*another backend"
    )
    with pytest.raises(UsageError, match=match):
        tiny.start(DeticSettings(backend="tiny"), bench.setup())


def test_people_must_be_among_the_classes(start, bench) -> None:
    """human-only lists the wanted words and the classes of the network."""
    detector = start(mode="human-only", words=["robot", "woman"])
    match = r"one of \['robot'\], found one that knows \['cat', 'dog', 'person', 'woman'\]"
    with pytest.raises(UsageError, match=match):
        start(mode="human-only", words=["robot"])
    with pytest.raises(UsageError, match=match):
        detector.sibling(DeticSettings(mode="human-only", words=["robot"]), bench.setup())
