"""What every detector promises, on every backend that can run here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.stages import DeticSettings
from schemas.training import NetworkSettings
from stages.detectors import ANY, Candidates, Detector
from stages.models.network import build
from stages.models.network_files import network_files, write_files
from stages.nodes.detic import BACKENDS

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=6)
# Backend detic needs packages that are on no index; its own tests say the same of it where they are installed.
RUNNABLE = sorted(BACKENDS.keys() - {"detic"})


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segmenter")
    write_files(network_files(build(SMALL, 2, seed=1), ["cat", "dog"]), folder)
    return folder


@pytest.fixture(params=RUNNABLE)
def start(request: pytest.FixtureRequest, bench, checkpoints, segmenter: Path) -> Callable[..., Detector]:
    """``start(**settings)``: a detector of each backend, with small networks of random weights."""
    needed = {"sam3": {"weights": "sam3"}, "grounding-dino+sam2": {"weights": "dino", "segmenter": "sam2"}}
    files = {key: checkpoints[name] for key, name in needed.get(request.param, {}).items()}

    def run(**settings: Any) -> Detector:
        given = {"min_score": 0.0, "max_objects": 4, **{key: str(path) for key, path in files.items()}, **settings}
        setup = bench.setup(files=files, models={"model": segmenter} if request.param == "tiny" else {})
        detector: Detector = importlib.import_module(BACKENDS[request.param]).start(
            DeticSettings(backend=request.param, **given), setup
        )
        return detector

    return run


def test_candidates_are_masks_of_the_picture_best_first(start, photographs) -> None:
    """(N, H, W) bool in original pixels and (N,) float32 in 0..1, for a class and for any class."""
    detector = start()
    for pixels in photographs:
        for words in (("cat",), ANY):
            (found,) = detector.look([pixels]).find({0: words}).values()
            assert isinstance(found, Candidates)
            assert found.masks.dtype == bool and found.masks.shape == (len(found.scores), *pixels.shape[:2])
            assert found.scores.dtype == np.float32 and found.scores.ndim == 1 and len(found.scores) > 0
            assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
            assert found.scores[-1] >= 0 and found.scores[0] <= 1


def test_only_the_requested_pictures_are_answered(start, photographs) -> None:
    """The keys of the answer are those of the request; a request for nothing has an empty answer."""
    detector, pixels = start(), photographs[0]
    seen = detector.look([pixels, pixels, pixels])
    assert list(seen.find({2: ("cat",)})) == [2]
    assert seen.find({0: ("dog",), 2: ANY}).keys() == {0, 2}
    assert seen.find({}) == {}


def test_a_picture_alone_is_answered_as_in_a_batch(start, photographs) -> None:
    """Pictures of equal shape share a batch, and neither masks nor scores depend on the others."""
    detector = start()
    pictures = [photographs[0], photographs[0][::-1].copy()]
    assert detector.shape(pictures[0]) == detector.shape(pictures[1])
    hash(detector.shape(pictures[0]))
    together = detector.look(pictures).find({0: ("cat",), 1: ("dog",)})
    for number, words in ((0, ("cat",)), (1, ("dog",))):
        alone = detector.look([pictures[number]]).find({0: words})[0]
        assert np.allclose(together[number].scores, alone.scores, atol=1e-5)
        assert (together[number].masks == alone.masks).mean() > 0.999


def test_a_sibling_answers_as_a_detector_of_its_own(start, bench, photographs) -> None:
    """It keeps its own limits, on what it has looked at itself and on what the other has; the other keeps its own."""
    detector, pixels = start(max_objects=4), photographs[0]
    settings = {"min_score": 0.1, "max_objects": 1}
    before = detector.look([pixels]).find({0: ("cat",)})[0]
    sibling = detector.sibling(DeticSettings(**settings), bench.setup())
    expected = start(**settings).look([pixels]).find({0: ("cat",)})[0]
    for seen in (sibling.look([pixels]), detector.look([pixels]).seen_by(sibling)):
        found = seen.find({0: ("cat",)})[0]
        assert np.array_equal(found.scores, expected.scores) and np.array_equal(found.masks, expected.masks)
    after = detector.look([pixels]).find({0: ("cat",)})[0]
    assert np.array_equal(after.scores, before.scores) and np.array_equal(after.masks, before.masks)


def test_pictures_are_not_written_to(start, photographs) -> None:
    """A detector accepts read-only memory and leaves the pixels as they are."""
    pixels = photographs[1]
    before = pixels.copy()
    pixels.flags.writeable = False
    start().look([pixels]).find({0: ANY})
    assert np.array_equal(pixels, before)
