from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pdstore import Rows, masks
from pdstore.errors import UsageError
from schemas.stages import ProposalsSettings
from schemas.training import NetworkSettings
from stages.models.inference import Inference, Looked
from stages.models.network import build
from stages.models.network_files import save_network
from stages.nodes import proposals
from stages.source.listing import ImageClass
from tests.stages.models.answers import answer, every_mask

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=6)


@pytest.fixture
def find(bench: Any, tmp_path: Path):
    """``find(*pictures, **settings)``: the proposals of a network of random weights."""
    save_network(build(SMALL, 1), tmp_path / "model")

    def run(*pictures: np.ndarray, **settings: Any) -> Rows:
        setup = bench.setup(models={"model": tmp_path / "model"})
        process = proposals.start(ProposalsSettings(**{"long_side": 0, "min_score": 0.0, **settings}), setup)
        layers = bench.store.layers("images")
        return process(bench.unit(images=layers[0] if layers else bench.images(*pictures))).rows

    return run


@pytest.fixture
def propose(bench: Any, tmp_path: Path):
    """``propose(unit, num_objects)``: the proposals of a network of random weights with a class-specific head."""

    def run(unit: Any, num_objects: int = 2) -> Rows:
        save_network(build(SMALL, 3, num_objects), tmp_path / "final")
        setup = bench.setup(models={"model": tmp_path / "final"})
        return proposals.start(ProposalsSettings(long_side=0, min_score=0.0), setup)(unit).rows

    return run


def noise(seed: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def queries(monkeypatch: pytest.MonkeyPatch, *found: tuple[float, float]) -> None:
    """The network says the same about every picture: (score, probability of the mask's 8 x 8 pixels) per query."""
    stack = np.zeros((len(found), 32, 32), np.float32)
    for number, (_, probability) in enumerate(found):
        stack[number, :8, :8] = probability
    classes = np.array([(score, 1 - score) for score, _ in found], np.float32)
    said = answer(classes, stack, np.arange(len(found), dtype=np.float32)[:, None])
    given = torch.from_numpy(said.classes), torch.from_numpy(said.features), said.logits

    def look(self: Inference, pictures: list[np.ndarray], classes: None) -> Looked:
        return Looked(
            *(part.expand(len(pictures), *part.shape) for part in given), [said.size] * len(pictures), "float32"
        )

    monkeypatch.setattr(Inference, "look", look)


def test_proposals_are_the_networks_queries(find: Any, tmp_path: Path) -> None:
    """Mask above one half, score and feature of each query, in float16, are those of the network."""
    picture = noise(0)
    rows = find(picture)
    (said,) = Inference(tmp_path / "model", "cpu", 0).queries([picture])
    stack = every_mask(said)
    for row, query in enumerate(rows["proposal_id"].tolist()):
        assert (masks.decode_one(rows.ragged("rle")[row], 32, 32) == (stack[query] > 0.5)).all()
        assert rows["score"][row] == pytest.approx(1 - said.classes[query, -1])
        assert (rows["feature"][row] == said.features[query].astype(np.float16)).all()
    assert set(rows["proposal_id"].tolist()) == set(np.flatnonzero((stack > 0.5).any((1, 2))).tolist())


def test_only_queries_above_the_floor_are_stored(find: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query of a low score or an empty mask is no proposal; each keeps the number of its query."""
    queries(monkeypatch, (0.9, 0.8), (0.04, 0.9), (0.5, 0.4), (0.3, 0.6))
    rows = find(noise(0), noise(1), min_score=0.05)
    assert rows["image_id"].tolist() == [0, 0, 1, 1] and rows["proposal_id"].tolist() == [0, 3, 0, 3]
    assert rows["score"].tolist() == pytest.approx([0.9, 0.3] * 2) and set(rows["area"].tolist()) == {64}


def test_the_best_are_kept(find: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than ``max_proposals`` those of the highest scores; of equal ones the first."""
    queries(monkeypatch, (0.5, 1.0), (0.9, 1.0), (0.5, 1.0), (0.7, 1.0))
    assert find(noise(0), max_proposals=3)["proposal_id"].tolist() == [0, 1, 3]


def test_batches_change_nothing(find: Any) -> None:
    """Pictures of different shapes, in batches or one by one: the same rows, by rising image."""
    pictures = [noise(0), noise(1, 32, 64), noise(2)]
    several, single = find(*pictures), find(batch_size=1)
    assert several["image_id"].tolist() == sorted(several["image_id"].tolist())
    assert several["area"].tolist() == single["area"].tolist()
    assert several["score"].tolist() == pytest.approx(single["score"].tolist(), abs=1e-5)


def test_masks_of_a_large_picture_are_in_its_frame(find: Any) -> None:
    """Rows say a frame of at most 640 pixels, whatever the size of the picture; long_side 0 keeps every pixel."""
    rows = find(noise(0, 100, 1280), long_side=64)
    assert len(rows) and set(zip(rows["height"].tolist(), rows["width"].tolist(), strict=True)) == {(50, 640)}
    assert masks.decode(rows.ragged("rle"), 50, 640).sum((1, 2)).tolist() == rows["area"].tolist()
    assert set(find(long_side=0)["width"].tolist()) == {1280}


def test_a_picture_that_does_not_fit_costs_no_other(find: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that runs out of memory on one picture: the other's proposals are those that it has alone."""
    whole, look = find(noise(0), noise(1)), Inference.look

    def short_of_memory(self: Inference, pictures: list[np.ndarray], classes: None) -> Looked:
        if any(np.array_equal(pixels, noise(1)) for pixels in pictures):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 90 GiB")
        return look(self, pictures, classes)

    monkeypatch.setattr(Inference, "look", short_of_memory)
    rows = find(batch_size=2)
    assert set(rows["image_id"].tolist()) == {0}
    assert list(rows.ragged("rle")) == list(whole.take(whole["image_id"] == 0).ragged("rle"))


def test_the_final_model_proposes_parts_of_the_class_of_the_image(propose: Any, bench: Any, tmp_path: Path) -> None:
    """Its scores are the chance of any part of that class: the same picture has others as another class."""
    rows = propose(bench.unit(images=bench.images(noise(0), noise(0), classes=[0, 1])))
    network, scores = Inference(tmp_path / "final", "cpu", 0), {}
    for image_id in (0, 1):
        own = rows.take(rows["image_id"] == image_id)
        (said,) = network.queries([noise(0)], [image_id])
        assert own["score"].tolist() == pytest.approx((1 - said.classes[own["proposal_id"], -1]).tolist())
        assert (own["feature"] == said.features[own["proposal_id"]].astype(np.float16)).all()
        scores[image_id] = dict(zip(own["proposal_id"].tolist(), own["score"].tolist(), strict=True))
    assert set(scores[0]) == set(scores[1]) and scores[0] != pytest.approx(scores[1], abs=1e-4)


def test_without_a_class_the_final_model_proposes_nothing(propose: Any, bench: Any) -> None:
    """Such an image is left out, with the reason; the others are not."""
    known = bench.classes
    bench.classes = (*known, ImageClass(-1, "", ""))
    layer = bench.images(noise(0), noise(1), classes=[1, 2])
    bench.classes = known
    unit = bench.unit(images=layer)
    assert set(propose(unit)["image_id"].tolist()) == {0}
    assert unit.errors()["image_id"].tolist() == [1] and unit.errors()["reason"].tolist() == ["no_class"]


def test_a_head_for_other_classes_is_refused(propose: Any, bench: Any) -> None:
    """A class-specific head fits a store with as many classes alone."""
    with pytest.raises(UsageError, match="the model's head is for 3 classes, but the store has 2"):
        propose(bench.unit(images=bench.images(noise(0))), 3)
