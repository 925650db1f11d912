"""Every node that runs a network gives on a device what a plain formulation gives on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Dinov2Backbone

from pdstore import Rows, masks
from schemas.stages import DeticSettings, GroupingSettings, PredictSettings, ProposalsSettings
from schemas.tables import OBJECTS
from stages.features import auto, backbone
from stages.fitting import refusal
from stages.kernels.clustering.grouping import concat_maps, group_pixels, normalize
from stages.models.network_files import load_network
from stages.nodes import detic, grouping, predict, proposals
from tests.stages.features.backbones import save_all
from tests.stages.gpu.plain import assert_same_mask, dense, plain_queries, save, scene

PICTURES = [scene(0), scene(1, 96, 64), scene(2)]
CLASSES = [0, 1, 1]


@pytest.fixture
def images(bench: Any) -> Any:
    """Three pictures of two shapes, so that a batch has two of them."""
    return bench.images(*PICTURES, classes=CLASSES)


def test_proposals(device: str, bench: Any, images: Any, tmp_path: Path) -> None:
    """Score, feature and mask of every query that has a pixel."""
    folder = save(tmp_path / "model", 1)
    settings = ProposalsSettings(min_score=0, long_side=0, batch_size=2)
    process = proposals.start(settings, bench.setup(models={"model": folder}, device=device))
    rows = process(bench.unit(images=images)).rows
    for number, pixels in enumerate(PICTURES):
        said = plain_queries(folder, pixels)
        found = dense(rows, number, "proposal_id", pixels.shape[:2])
        own = rows.take(rows["image_id"] == number)
        for query, probability in enumerate(said.masks):
            assert_same_mask(found.get(query, np.zeros(pixels.shape[:2], bool)), probability)
        queries = own["proposal_id"]
        assert np.allclose(own["score"], 1 - said.classes[queries, -1], atol=1e-3)
        assert np.allclose(own["feature"].astype(np.float32), said.features[queries], atol=0.02)
        assert 0.05 < np.mean([mask.mean() for mask in found.values()]) < 0.95


@pytest.mark.parametrize("flip", [False, True])
def test_predict(device: str, bench: Any, images: Any, tmp_path: Path, flip: bool) -> None:
    """Each pixel is of its likeliest part if the sum over queries is above the threshold, by a class-specific head."""
    folder = save(tmp_path / "model", 3, num_objects=2)
    settings = PredictSettings(threshold=0.3, long_side=0, batch_size=2, flip=flip)
    process = predict.start(settings, bench.setup(models={"model": folder}, device=device))
    rows = process(bench.unit(images=images)).rows
    for number, (pixels, object_class) in enumerate(zip(PICTURES, CLASSES, strict=True)):
        chance = chances(folder, pixels, object_class)
        if flip:
            chance = (chance + chances(folder, pixels[:, ::-1].copy(), object_class)[..., ::-1]) / 2
        top = np.sort(chance, 0)
        # Too close to call: another order of the sums may decide.
        is_close = (np.abs(top[-1] - 0.3) < 0.01) | (top[-1] - top[-2] < 0.01)
        labels = np.where(top[-1] > 0.3, chance.argmax(0), -1)
        found = dense(rows, number, "cluster", pixels.shape[:2])
        for part in range(3):
            mask = found.get(part, np.zeros(pixels.shape[:2], bool))
            assert ((mask == (labels == part)) | is_close).all()
        own = rows.take(rows["image_id"] == number)
        scores = [min(1, chance[part][found[part]].mean()) for part in own["cluster"].tolist()]
        assert np.allclose(own["score"], scores, atol=0.01) and len(scores) and not is_close.all()


def chances(folder: Path, pixels: np.ndarray, object_class: int) -> np.ndarray:
    said = plain_queries(folder, pixels, object_class)
    return np.einsum("qc,qhw->chw", said.classes[:, :-1], said.masks)


def test_features_of_a_network_of_ours(device: str, bench: Any, images: Any, tmp_path: Path) -> None:
    """Two maps, each of unit length, joined at the resolution of the first."""
    folder = save(tmp_path / "model", 1)
    settings = GroupingSettings(maps=(1, 2), long_side=0, normalize=True, batch_size=2)
    found = features(backbone, settings, bench.setup(models={"model": folder}, device=device), bench, images)
    network = load_network(folder)
    for number, pixels in enumerate(PICTURES):
        with torch.no_grad():
            every = network.feature_maps(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        expected = concat_maps([normalize(every[i][0].numpy()) for i in (1, 2)])
        assert np.allclose(found[number], expected, atol=2e-3)


def test_features_of_a_vision_transformer(device: str, bench: Any, images: Any, tmp_path: Path) -> None:
    """The map of transformers' own backbone for the picture in ImageNet's colours."""
    folder = save_all(tmp_path / "checkpoints") / "dinov2"
    settings = GroupingSettings(backend="auto", weights=str(folder), long_side=0, batch_size=2)
    found = features(auto, settings, bench.setup(files={"weights": folder}, device=device), bench, images)
    network = Dinov2Backbone.from_pretrained(folder, local_files_only=True).eval()
    mean, std = torch.tensor(auto.IMAGENET["image_mean"]), torch.tensor(auto.IMAGENET["image_std"])
    for number, pixels in enumerate(PICTURES):
        rows, columns = (round(side / 14) * 14 for side in pixels.shape[:2])
        picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        picture = torch.nn.functional.interpolate(picture, (rows, columns), mode="bilinear", antialias=True)
        with torch.no_grad():
            (expected,) = network((picture / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)).feature_maps
        assert np.allclose(found[number], expected[0].numpy(), atol=2e-3)


def features(backend: Any, settings: GroupingSettings, setup: Any, bench: Any, images: Any) -> dict[int, np.ndarray]:
    """image_id -> (C, h, w), wherever the backend leaves them."""
    compute = backend.start(settings, setup)
    return {i: torch.as_tensor(maps).cpu().numpy() for i, maps in compute(bench.unit(images=images), [0, 1, 2])}


def test_grouping(device: str, bench: Any, images: Any, tmp_path: Path) -> None:
    """The two halves of an object, as k-means on the CPU divides it."""
    folder = save(tmp_path / "model", 1)
    setup = bench.setup(models={"model": folder}, device=device)
    settings = GroupingSettings(k=2, maps=(0,), metric="l2", long_side=0, n_init=3)
    records, outlines = [], [pixels.max(2) > 100 for pixels in PICTURES]
    for number, outline in enumerate(outlines):
        frame = {"height": outline.shape[0], "width": outline.shape[1], "area": int(outline.sum()), "score": 1.0}
        named = {"object_id": 0, "category_id": 0, "category_name": "cat", "rle": masks.encode(outline[None])[0]}
        records.append({"image_id": number, **named, **frame})
    rows = grouping.start(settings, setup)(
        bench.unit(images=images, objects=bench.put("objects", OBJECTS, records))
    ).rows
    maps = features(backbone, settings, bench.setup(models={"model": folder}), bench, images)
    for number, outline in enumerate(outlines):
        groups = group_pixels(maps[number], outline, 2, "l2", n_init=3)
        found = dense(rows, number, "part_id", outline.shape)
        shares = [np.mean(found[0][outline] == (groups.labels[outline] == part)) for part in (0, 1)]
        assert max(shares) > 0.98 and ((found[0] | found[1]) == outline).all() and not (found[0] & found[1]).any()


@pytest.mark.parametrize("mode", ["max-gt-label", "human-only"])
def test_a_detector(device: str, bench: Any, images: Any, tmp_path: Path, mode: str) -> None:
    """Objects by class probability x mean mask probability, best first."""
    folder = save(tmp_path / "model", 3, names=["cat", "dog", "person"])
    settings = DeticSettings(backend="tiny", mode=mode, min_score=0.0, long_side=0, max_objects=3, batch_size=2)
    process = detic.start(settings, bench.setup(models={"model": folder}, device=device))
    rows = process(bench.unit(images=images)).rows
    for number, (pixels, object_class) in enumerate(zip(PICTURES, CLASSES, strict=True)):
        said = plain_queries(folder, pixels)
        chance = said.classes[:, 2 if mode == "human-only" else object_class]
        stack = said.masks > 0.5
        scores = chance * (said.masks * stack).sum((1, 2)) / np.maximum(stack.sum((1, 2)), 1)
        best = [query for query in np.argsort(-scores).tolist() if stack[query].any()][:3]
        own = rows.take(rows["image_id"] == number)
        assert np.allclose(own["score"], scores[best], atol=1e-3) and len(own) == len(best) > 0
        found = dense(rows, number, "object_id", pixels.shape[:2])
        for place, query in enumerate(best):
            assert_same_mask(found[place], said.masks[query])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision(device: str, bench: Any, images: Any, tmp_path: Path, precision: str) -> None:
    """Scores of proposals are nearly those in float32, and most pixels are the same."""
    folder = save(tmp_path / "model", 1)

    def find(**settings: Any) -> Rows:
        given = ProposalsSettings(min_score=0, long_side=0, **settings)
        process = proposals.start(given, bench.setup(models={"model": folder}, device=device))
        return process(bench.unit(images=images)).rows

    exact, rough = find(), find(precision=precision)
    one, other = (dict(zip(r["proposal_id"].tolist(), r["score"].tolist(), strict=True)) for r in (exact, rough))
    shared = sorted(one.keys() & other.keys())
    assert len(shared) >= 5 and np.allclose([one[q] for q in shared], [other[q] for q in shared], atol=0.1)
    whole = np.zeros(PICTURES[0].shape[:2], bool)
    left, right = (dense(rows, 0, "proposal_id", whole.shape) for rows in (exact, rough))
    same = [np.mean(left.get(query, whole) == right.get(query, whole)) for query in range(10)]
    assert np.mean(same) > 0.8


def test_memory_that_is_not_there_is_recognised(device: str) -> None:
    """What the allocator of the device says leads to a smaller batch, and not to a failed block."""
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**50, dtype=torch.uint8, device=device)
    assert refusal(error.value) == "out_of_memory"
