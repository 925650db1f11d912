"""Detic, run by detectron2 and Detic's own code: open-vocabulary detection with masks, the reference's backend.

Source: Zhou et al., "Detecting Twenty-thousand Classes using Image-level Supervision", ECCV 2022; reference
``detic_labeling_net.py``. The boxes of the network are scored against the requested names only: each request hands
its classifier to the heads. To find an object of any class, the classifier is the whole vocabulary, and each box keeps
its best name. There are up to 1000 detections per image, with score threshold ``min_score``.

Backbone and proposals are computed once per batch, the heads once per image and request. The weights are read by
detectron2's own checkpointer, which unpickles them: only open files that you trust.
"""

from __future__ import annotations

import copy
import importlib.util
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pdstore.errors import CorruptData, UsageError
from schemas.stages import DeticSettings
from stages.detectors.boxes import best_boxes
from stages.detectors.pretrained import checkpoint
from stages.detectors.prompts import PromptEmbeddings, read_embeddings
from stages.detectors.protocol import Candidates, Pixels, Words
from stages.detectors.tensors import long_side_size, stack
from stages.models.precision import autocast
from stages.unit import Setup

__all__ = ["DeticDetector", "start"]

TEXT_MODEL = "openai/clip-vit-base-patch32"
MAX_DETECTIONS = 1000
FITTING = "Give the file that belongs to detic.config"
WHERE = "detic.backend = detic"
INSTRUCTIONS = {
    "detectron2": "detectron2 (see https://detectron2.readthedocs.io/tutorials/install.html)",
    "centernet": "CenterNet2 (a submodule of Detic, or https://github.com/xingyizhou/CenterNet2), on PYTHONPATH",
    "detic": "Detic (see https://github.com/facebookresearch/Detic/blob/main/docs/INSTALL.md), on PYTHONPATH",
}
"""Module -> what to install; none of them is on a package index."""


def start(settings: DeticSettings, setup: Setup) -> DeticDetector:
    """A ready detector.

    Raises:
        UsageError: if a package or a setting is missing.
        CorruptData: if the weights do not fit ``config``.
    """
    paths = {key: setup.files[key] for key in ("weights", "config") if getattr(settings, key)}
    for key in ("weights", "config"):
        if key not in paths:
            fix = f"Set detic.{key}; docs/detectors.md lists the files that exist"
            raise UsageError(f"backend detic needs {key}, but none is set", f"detic.{key}", fix)
    network, takes_bgr = _build(paths["config"], paths["weights"], settings.min_score, setup.device)
    return DeticDetector(network, _prompts(settings, setup), settings, takes_bgr)


class DeticDetector:
    """A Detic network (detectron2's ``CustomRCNN``) that is ready to use."""

    def __init__(self, network: Any, prompts: PromptEmbeddings, settings: DeticSettings, takes_bgr: bool) -> None:
        self.network, self.settings = network, settings
        self._prompts, self._takes_bgr = prompts, takes_bgr

    def shape(self, pixels: Pixels) -> tuple[int, int]:
        return long_side_size(pixels, self.settings.long_side)

    @torch.inference_mode()
    def look(self, pictures: Sequence[Pixels]) -> _Seen:
        images = stack(pictures, self.shape(pictures[0]), self.network.device)
        if self._takes_bgr:
            images = images.flip(1)
        batch = self.network.preprocess_image([{"image": image} for image in images])
        # A lower precision is for the backbone only, as in Detic's own training.
        with autocast(images.device, self.settings.precision):
            features = self.network.backbone(batch.tensor)
        features = {name: maps.float() for name, maps in features.items()}
        proposals, _ = self.network.proposal_generator(batch, features, None)
        return _Seen(self, pictures, features, proposals)

    def sibling(self, settings: DeticSettings, setup: Setup) -> DeticDetector:
        other = copy.copy(self)
        other.settings, other._prompts = settings, _prompts(settings, setup)
        return other

    def classifier(self, words: Words) -> Tensor:
        """(C + 1, D) float32: one row per name, then a row of zeros for the background."""
        names = self._prompts.of(words) if words else self._prompts.every
        return torch.cat([names, names.new_zeros(1, names.shape[1])])


class _Seen:
    def __init__(
        self, detector: DeticDetector, pictures: Sequence[Pixels], features: Mapping[str, Tensor], proposals: list[Any]
    ) -> None:
        self._detector, self._pictures, self._features, self._proposals = detector, pictures, features, proposals

    @torch.inference_mode()
    def find(self, requests: Mapping[int, Words]) -> dict[int, Candidates]:
        return {number: self._candidates(number, words) for number, words in requests.items()}

    def seen_by(self, sibling: DeticDetector) -> _Seen:
        return _Seen(sibling, self._pictures, self._features, self._proposals)

    def _candidates(self, number: int, words: Words) -> Candidates:
        from detectron2.modeling.postprocessing import detector_postprocess

        features = {name: maps[number : number + 1] for name, maps in self._features.items()}
        classifier = self._detector.classifier(words)
        heads, settings, picture = self._detector.network.roi_heads, self._detector.settings, self._pictures[number]
        _set_threshold(heads, settings.min_score)
        instances = heads(None, features, [self._proposals[number]], classifier_info=(classifier, None, None))[0][0]
        drawn = instances[(instances.pred_masks > 0.5).flatten(1).any(1)]
        kept = drawn[best_boxes(drawn.pred_boxes.tensor, drawn.scores, settings.min_score, settings.max_objects)]
        whole = detector_postprocess(kept, *picture.shape[:2])
        return Candidates(whole.pred_masks.cpu().numpy(), whole.scores.float().cpu().numpy())


def _set_threshold(heads: Any, min_score: float) -> None:
    """Detectors that share a network have thresholds of their own; detectron2 keeps it in its predictors of boxes."""
    for part in heads.modules():
        if hasattr(part, "test_score_thresh"):
            part.test_score_thresh = min_score


def _build(config: Path, weights: Path, min_score: float, device: str) -> tuple[Any, bool]:
    """The network, and whether it takes BGR images."""
    settings = _settings(config, min_score, device)
    from detectron2.modeling import build_model

    network = build_model(settings).eval()
    _load(network, weights)
    return network, settings.INPUT.FORMAT == "BGR"


def _settings(config: Path, min_score: float, device: str) -> Any:
    """Detic's own settings.

    Raises:
        UsageError: if a package is missing, or ``config`` has no text classifier.
    """
    _check_installed()
    try:
        from centernet.config import add_centernet_config
        from detectron2.config import get_cfg
        from detic.config import add_detic_config
    except ModuleNotFoundError as error:
        fix = f"Install it: pip install {error.name}; see docs/detectors.md"
        raise UsageError(f"Detic needs the package {error.name}, which is not installed", WHERE, fix) from error
    settings = get_cfg()
    add_centernet_config(settings)
    add_detic_config(settings)
    settings.merge_from_file(str(config))
    settings.merge_from_list(_overrides(min_score, device))
    if not settings.MODEL.ROI_BOX_HEAD.USE_ZEROSHOT_CLS:
        fix = "Choose a configuration with CLIP in its name"
        raise UsageError("this Detic configuration has no text classifier", f"detic.config = {config}", fix)
    return settings


def _overrides(min_score: float, device: str) -> list[Any]:
    """Undo the settings of a Detic configuration for training and benchmarks, so that only the weights are read."""
    return [
        *("MODEL.DEVICE", device, "MODEL.DYNAMIC_CLASSIFIER", False, "MODEL.ROI_BOX_HEAD.USE_FED_LOSS", False),
        *("MODEL.ROI_BOX_HEAD.IGNORE_ZERO_CATS", False, "MODEL.RESET_CLS_TESTS", False, "MODEL.WITH_CAPTION", False),
        *("MODEL.ROI_BOX_HEAD.ZEROSHOT_WEIGHT_PATH", "rand", "MODEL.ROI_HEADS.ONE_CLASS_PER_PROPOSAL", True),
        *("MODEL.ROI_HEADS.SCORE_THRESH_TEST", min_score, "TEST.DETECTIONS_PER_IMAGE", MAX_DETECTIONS),
    ]


def _load(network: Any, weights: Path) -> None:
    from detectron2.checkpoint import DetectionCheckpointer

    class Strict(DetectionCheckpointer):
        """Remembers the missing weights, which the base class only logs."""

        def _load_model(self, checkpoint: Any) -> Any:
            report = super()._load_model(checkpoint)
            # The classifier comes with each request.
            self.missing = [name for name in report.missing_keys if not name.endswith("zs_weight")]
            return report

    checkpointer = Strict(network)
    try:
        checkpointer.load(str(weights))
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise CorruptData(f"detectron2 cannot read this checkpoint: {error!s}", str(weights), FITTING) from None
    if checkpointer.missing:
        shown = ", ".join(checkpointer.missing[:8])
        problem = f"{len(checkpointer.missing)} weights of the network are missing or have another shape: {shown}"
        raise CorruptData(problem, str(weights), FITTING)


def _check_installed() -> None:
    missing = [name for name in INSTRUCTIONS if importlib.util.find_spec(name) is None]
    if missing:
        fix = f"Install {'; '.join(INSTRUCTIONS[name] for name in missing)}. docs/detectors.md lists the steps"
        problem = f"this backend needs detectron2, CenterNet2 and Detic, but there is no module {', '.join(missing)}"
        raise UsageError(problem, WHERE, fix)


def _prompts(settings: DeticSettings, setup: Setup) -> PromptEmbeddings:
    names = settings.words if settings.mode == "human-only" else [c.name for c in setup.classes]
    if settings.embeddings:
        given = read_embeddings(setup.files["embeddings"], len(names))
        return PromptEmbeddings(names, None, setup.device, given)
    return PromptEmbeddings(names, _text_model(settings, setup), setup.device)


def _text_model(settings: DeticSettings, setup: Setup) -> Path:
    if not settings.text_model:
        settings = settings.model_copy(update={"text_model": TEXT_MODEL})
    return checkpoint(settings, setup, "text_model", TEXT_MODEL)
