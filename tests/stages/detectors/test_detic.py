"""Runs against the real detectron2, CenterNet2 and Detic if they are installed; tests that need none always run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pdstore import masks
from pdstore.errors import CorruptData, UsageError
from schemas.stages import DeticSettings
from stages.detectors import ANY
from stages.detectors import detic as backend

IS_INSTALLED = all(importlib.util.find_spec(name) for name in backend.INSTRUCTIONS)
needs_detic = pytest.mark.skipif(not IS_INSTALLED, reason="needs detectron2, CenterNet2 and Detic")
pytestmark = pytest.mark.filterwarnings("ignore")  # those packages were written for older versions of torch and NumPy

CONFIG = """
MODEL:
  META_ARCHITECTURE: CustomRCNN
  MASK_ON: true
  PROPOSAL_GENERATOR: {NAME: CenterNet}
  BACKBONE: {NAME: build_swintransformer_fpn_backbone}
  SWIN: {SIZE: T}
  FPN: {IN_FEATURES: [swin1, swin2, swin3]}
  PIXEL_MEAN: [123.675, 116.28, 103.53]
  PIXEL_STD: [58.395, 57.12, 57.375]
  ROI_HEADS: {NAME: DeticCascadeROIHeads, IN_FEATURES: [p3, p4, p5], IOU_THRESHOLDS: [0.6], NUM_CLASSES: 3}
  ROI_BOX_CASCADE_HEAD: {IOUS: [0.6, 0.7, 0.8]}
  ROI_BOX_HEAD:
    {NAME: FastRCNNConvFCHead, NUM_FC: 2, FC_DIM: 64, POOLER_RESOLUTION: 7, CLS_AGNOSTIC_BBOX_REG: true,
     MULT_PROPOSAL_SCORE: true, USE_SIGMOID_CE: true, USE_ZEROSHOT_CLS: true}
  ROI_MASK_HEAD:
    {NAME: MaskRCNNConvUpsampleHead, NUM_CONV: 1, CONV_DIM: 32, POOLER_RESOLUTION: 14, CLS_AGNOSTIC_MASK: true}
  CENTERNET:
    {NUM_CLASSES: 3, ONLY_PROPOSAL: true, WITH_AGN_HM: true, INFERENCE_TH: 0.0001, NOT_NORM_REG: true,
     PRE_NMS_TOPK_TEST: 100, POST_NMS_TOPK_TEST: 20, NMS_TH_TEST: 0.9}
INPUT: {FORMAT: RGB}
VERSION: 2
"""


@pytest.fixture(scope="session")
def detic_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small Detic: its configuration, random weights, and random embeddings of two classes."""
    from detectron2.modeling import build_model

    folder = tmp_path_factory.mktemp("detic")
    (folder / "small.yaml").write_text(CONFIG)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_model(backend._settings(folder / "small.yaml", 0.0, "cpu"))
    torch.save({"model": network.state_dict()}, folder / "small.pth")
    np.save(folder / "names.npy", np.random.default_rng(0).normal(size=(2, 512)).astype(np.float32))
    np.save(folder / "words.npy", np.random.default_rng(1).normal(size=(5, 512)).astype(np.float32))
    names = {"config": "small.yaml", "weights": "small.pth", "embeddings": "names.npy"}
    return {key: folder / name for key, name in names.items()}


@pytest.fixture
def start(bench, detic_files):
    """``start(**settings)``: the small Detic."""

    def run(**settings: Any) -> backend.DeticDetector:
        given = {key: str(path) for key, path in detic_files.items()}
        return backend.start(DeticSettings(backend="detic", **given, **settings), bench.setup(files=detic_files))

    return run


@pytest.mark.skipif(IS_INSTALLED, reason="needs one of them to be missing")
def test_missing_packages_are_named_with_their_instructions(bench, tmp_path: Path) -> None:
    """One error says what to install and where the steps are described."""
    files = {"config": tmp_path / "any.yaml", "weights": tmp_path / "any.pth"}
    settings = DeticSettings(backend="detic", **{key: str(path) for key, path in files.items()})
    with pytest.raises(UsageError, match=r"needs detectron2, CenterNet2 and Detic, but there is no module .* https://"):
        backend.start(settings, bench.setup(files=files))


def test_weights_and_config_are_needed(bench) -> None:
    """The error names the empty setting."""
    with pytest.raises(UsageError, match=r"detic\.weights: backend detic needs weights, but none is set"):
        backend.start(DeticSettings(backend="detic"), bench.setup())
    files = {"weights": Path("any.pth")}
    with pytest.raises(UsageError, match=r"detic\.config: backend detic needs config, but none is set"):
        backend.start(DeticSettings(backend="detic", weights="any.pth"), bench.setup(files=files))


@needs_detic
def test_results_are_those_of_detic(start, photographs, detic_files) -> None:
    """Boxes, scores and masks for a class are those of Detic itself with its classifier set to that class."""
    from detic.modeling.utils import reset_cls_test

    detector = start(max_objects=3, long_side=96)
    found = detector.look(photographs[:1]).find({0: ("dog",)})[0]
    embedding = torch.from_numpy(np.load(detic_files["embeddings"]))[1:]
    reset_cls_test(detector.network, embedding.T.contiguous(), 1)
    pixels = torch.from_numpy(photographs[0]).permute(2, 0, 1)[None].float()
    image = torch.nn.functional.interpolate(pixels, (72, 96), mode="bilinear", antialias=True)[0]
    with torch.inference_mode():
        output = detector.network([{"image": image, "height": 48, "width": 64}])[0]["instances"]
    output = output[output.pred_masks.flatten(1).any(1)][:3]
    assert len(found.scores) == len(output) > 0
    assert found.scores.tolist() == pytest.approx(output.scores.tolist(), abs=1e-5)
    assert (found.masks == output.pred_masks.numpy()).mean() > 0.999


@needs_detic
def test_any_class_is_the_whole_vocabulary(start, photographs) -> None:
    """Without words, a box has the score of its best name and is a single candidate."""
    seen = start(max_objects=100).look(photographs[:1])
    cat, dog, either = (seen.find({0: words})[0] for words in [("cat",), ("dog",), ANY])
    assert either.scores[0] == pytest.approx(max(cat.scores[0], dog.scores[0]), abs=1e-6)
    assert len(either.scores) <= 20


@needs_detic
def test_the_objects_of_a_class_come_from_its_name(detect, detic_files) -> None:
    """Each picture gets objects of its own class, in its own pixels, best first and no more than ``max_objects``."""
    unit, rows = detect(detic_files, backend="detic", max_objects=3)
    assert unit.faults == []
    for image_id, name, size in [(0, "cat", (48, 64)), (1, "dog", (70, 40))]:
        own = rows.take(rows["image_id"] == image_id)
        assert 1 <= len(own) <= 3 and set(own["category_name"]) == {name}
        stack = masks.decode(own.ragged("rle"), *size)
        assert stack.sum((1, 2)).tolist() == own["area"].tolist()


@needs_detic
def test_people_above_the_threshold_are_kept(detect, detic_files) -> None:
    """As on every backend, human-only gives persons, and no error row for an image without persons."""
    files = {**detic_files, "embeddings": detic_files["embeddings"].with_name("words.npy")}
    _, rows = detect(files, backend="detic", mode="human-only")
    assert len(rows) and set(rows["category_name"]) == {"person"} and set(rows["category_id"].tolist()) == {-1}
    unit, rows = detect(files, backend="detic", mode="human-only", min_score=1.0)
    assert len(rows) == 0 and unit.faults == []


@needs_detic
def test_weights_of_another_network_are_refused(start, detic_files, tmp_path: Path) -> None:
    """The checkpointer would continue with random weights; here the missing ones are listed."""
    torch.save({"model": {"backbone.fpn_output3.bias": torch.zeros(256)}}, tmp_path / "other.pth")
    detic_files = {**detic_files, "weights": tmp_path / "other.pth"}
    with pytest.raises(CorruptData, match=r"\d+ weights of the network are missing or have another shape: backbone\."):
        backend._load(start().network, detic_files["weights"])
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint")
    with pytest.raises(CorruptData, match="detectron2 cannot read this checkpoint"):
        backend._load(start().network, tmp_path / "broken.pth")


@needs_detic
def test_a_sibling_has_its_own_names_and_threshold(start, bench, photographs, detic_files) -> None:
    """Two detectors share the network; each answers as one that has a network of its own."""
    words = {**detic_files, "embeddings": detic_files["embeddings"].with_name("words.npy")}
    given = {"backend": "detic", **{key: str(path) for key, path in words.items()}}
    people = DeticSettings(**given, mode="human-only", min_score=0.3, max_objects=2)
    alone = backend.start(people, bench.setup(files=words)).look(photographs[:1]).find({0: people.words})[0]
    detector = start()
    seen = detector.look(photographs[:1])
    before = seen.find({0: ("dog",)})[0]
    sibling = detector.sibling(people, bench.setup(files=words))
    for view in (seen.seen_by(sibling), sibling.look(photographs[:1])):
        found = view.find({0: people.words})[0]
        assert np.array_equal(found.scores, alone.scores) and np.array_equal(found.masks, alone.masks)
    after = seen.find({0: ("dog",)})[0]
    assert np.array_equal(after.scores, before.scores) and np.array_equal(after.masks, before.masks)
