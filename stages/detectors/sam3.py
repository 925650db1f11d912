"""SAM 3: finds every instance of a concept that is given by a short text, with its mask.

Source: Carion et al., "SAM 3: Segment Anything with Concepts", 2025; transformers' ``Sam3Model``. Each of the
requested words is one concept. The instances of several words are pooled, and an instance found under two words is
kept once. For an object of any class the concept is "object".

The network sees every picture as a square whose size it fixes (1008 pixels for the published weights), so
``long_side`` has no effect.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

# Not `from transformers import Sam3Model`: that requires torchvision, which only box prompts use.
from transformers.models.sam3.modeling_sam3 import Sam3Model

from schemas.stages import DeticSettings
from stages.detectors.boxes import best_boxes
from stages.detectors.pretrained import checkpoint, load_network, load_tokenizer
from stages.detectors.protocol import Candidates, Pixels, Words
from stages.detectors.tensors import candidates, stack, standardised
from stages.models.precision import autocast
from stages.unit import Setup

__all__ = ["Sam3Detector", "start"]

ANYTHING = ("object",)
HALF = (0.5, 0.5, 0.5)
"""Mean and standard deviation for the input of the published network, whose range is 0 to 1."""
TEXT_LENGTH = 32


def start(settings: DeticSettings, setup: Setup) -> Sam3Detector:
    """A ready detector.

    Raises:
        UsageError: if ``weights`` is not set.
        InputMissing: if the checkpoint cannot be found.
        CorruptData: if the checkpoint is damaged, or not a SAM 3.
    """
    folder = checkpoint(settings, setup, "weights", "facebook/sam3")
    return Sam3Detector(load_network(Sam3Model, folder, setup.device), load_tokenizer(folder), settings)


class Sam3Detector:
    """A SAM 3 that is ready to use."""

    def __init__(self, network: Any, tokenizer: Any, settings: DeticSettings) -> None:
        self.network, self.settings = network, settings
        self._tokenizer = tokenizer
        side = network.config.vision_config.image_size
        self._size = (side, side) if isinstance(side, int) else (side[0], side[1])

    def shape(self, pixels: Pixels) -> Hashable:
        return self._size

    @torch.inference_mode()
    def look(self, pictures: Sequence[Pixels]) -> _Seen:
        images = standardised(stack(pictures, self._size, self.network.device), HALF, HALF)
        with autocast(self.network.device, self.settings.precision):
            return _Seen(self, pictures, self.network.get_vision_features(images))

    def sibling(self, settings: DeticSettings, setup: Setup) -> Sam3Detector:
        other = copy.copy(self)
        other.settings = settings
        return other

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        encoded = self._tokenizer(
            list(texts), padding="max_length", max_length=TEXT_LENGTH, truncation=True, return_tensors="pt"
        )
        return {name: encoded[name].to(self.network.device) for name in ("input_ids", "attention_mask")}


class _Seen:
    def __init__(self, detector: Sam3Detector, pictures: Sequence[Pixels], vision: Any) -> None:
        self._detector, self._pictures, self._vision = detector, pictures, vision

    @torch.inference_mode()
    def find(self, requests: Mapping[int, Words]) -> dict[int, Candidates]:
        pairs = [(number, word) for number, words in requests.items() for word in (words or ANYTHING)]
        instances: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = defaultdict(list)
        size = self._detector.settings.batch_size
        for first in range(0, len(pairs), size):
            batch = pairs[first : first + size]
            for (number, _), found in zip(batch, self._ask(batch), strict=True):
                instances[number].append(found)
        return {number: self._pool(self._pictures[number], found) for number, found in instances.items()}

    def seen_by(self, sibling: Sam3Detector) -> _Seen:
        return _Seen(sibling, self._pictures, self._vision)

    def _ask(self, pairs: Sequence[tuple[int, str]]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """(Q, 4) boxes, (Q,) scores and (Q, h, w) mask logits of each (picture, word)."""
        rows = [number for number, _ in pairs]
        vision = type(self._vision)(
            last_hidden_state=None,
            fpn_hidden_states=tuple(maps[rows] for maps in self._vision.fpn_hidden_states),
            fpn_position_encoding=tuple(maps[rows] for maps in self._vision.fpn_position_encoding),
        )
        network = self._detector.network
        with autocast(network.device, self._detector.settings.precision):
            output = network(vision_embeds=vision, **self._detector.tokens([word for _, word in pairs]))
        # The instance logit is conditional on the concept being in the picture at all.
        scores = output.pred_logits.float().sigmoid() * output.presence_logits.float().sigmoid()
        return list(zip(output.pred_boxes, scores, output.pred_masks, strict=True))

    def _pool(self, picture: Pixels, found: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Candidates:
        boxes, scores, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        drawn = torch.where((logits > 0).flatten(1).any(1), scores, -1.0)
        settings = self._detector.settings
        kept = best_boxes(boxes, drawn, settings.min_score, settings.max_objects)
        return candidates(logits[kept], scores[kept], picture)
