"""Grounding DINO finds boxes for words, SAM 2 draws the mask in each box.

Source: Liu et al., "Grounding DINO", ECCV 2024; Ravi et al., "SAM 2", 2024; transformers'
``GroundingDinoForObjectDetection`` and ``Sam2Model``. The requested words form one prompt, "man. woman.", and the
score of a box is that of its best token. For an object of any class the prompt is "object.". A mask has the score of
its box.

Grounding DINO sees the picture at ``long_side`` (it was published for a short side of 800 pixels). SAM 2 sees it as a
square whose size is fixed by the network (1024 pixels for the published weights).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GroundingDinoForObjectDetection, Sam2Model

from schemas.stages import DeticSettings
from stages.detectors.boxes import best_boxes, from_centres
from stages.detectors.pretrained import checkpoint, load_network, load_tokenizer
from stages.detectors.protocol import Candidates, Pixels, Words
from stages.detectors.tensors import candidates, long_side_size, stack, standardised
from stages.models.precision import autocast
from stages.unit import Setup

__all__ = ["GroundedDetector", "start"]

ANYTHING = ("object",)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""For the input of both published networks, whose range is 0 to 1."""


def start(settings: DeticSettings, setup: Setup) -> GroundedDetector:
    """A ready detector.

    Raises:
        UsageError: if ``weights`` or ``segmenter`` is not set.
        InputMissing: if a checkpoint cannot be found.
        CorruptData: if a checkpoint is damaged, or of another network.
    """
    finder = checkpoint(settings, setup, "weights", "IDEA-Research/grounding-dino-base")
    drawer = checkpoint(settings, setup, "segmenter", "facebook/sam2.1-hiera-large")
    return GroundedDetector(
        load_network(GroundingDinoForObjectDetection, finder, setup.device),
        load_tokenizer(finder),
        load_network(Sam2Model, drawer, setup.device),
        settings,
    )


class GroundedDetector:
    """The two networks, ready to use."""

    def __init__(self, finder: Any, tokenizer: Any, drawer: Any, settings: DeticSettings) -> None:
        self._finder, self._tokenizer, self._drawer, self._settings = finder, tokenizer, drawer, settings
        self._side: int = drawer.config.prompt_encoder_config.image_size
        self._device: torch.device = finder.device

    def shape(self, pixels: Pixels) -> tuple[int, int]:
        return long_side_size(pixels, self._settings.long_side)

    def look(self, pictures: Sequence[Pixels]) -> _Seen:
        return _Seen(self, pictures)

    def sibling(self, settings: DeticSettings, setup: Setup) -> GroundedDetector:
        other = copy.copy(self)
        other._settings = settings
        return other

    def boxes(self, pictures: Sequence[Pixels], words: Sequence[Words]) -> list[tuple[Tensor, Tensor]]:
        """The best boxes of each picture: (N, 4) from 0 to 1, x0 y0 x1 y1, and their scores (N,).

        Args:
            pictures: of equal :meth:`shape`.
            words: one entry per picture.
        """
        images = standardised(stack(pictures, self.shape(pictures[0]), self._device), MEAN, STD)
        # A full stop separates two phrases, so a name must not contain one.
        prompts = [". ".join(name.lower().replace(".", " ") for name in names) + "." for names in words]
        text = self._tokenizer(
            prompts,
            padding=True,
            truncation=True,
            max_length=self._finder.config.max_text_len,
            return_token_type_ids=True,
            return_tensors="pt",
        ).to(self._device)
        with autocast(self._device, self._settings.precision):
            output = self._finder(pixel_values=images, **text)
        every = zip(from_centres(output.pred_boxes.float()), output.logits.float().sigmoid().amax(-1), strict=True)
        limits = self._settings.min_score, self._settings.max_objects
        return [(boxes[kept], scores[kept]) for boxes, scores in every for kept in [best_boxes(boxes, scores, *limits)]]

    def masks(self, pictures: Sequence[Pixels], boxes: Sequence[Tensor]) -> list[Tensor]:
        """The mask logits (N, h, w) of each picture's boxes; every picture must have at least one box."""
        images = standardised(stack(pictures, (self._side, self._side), self._device), MEAN, STD)
        with autocast(self._device, self._settings.precision):
            embeddings = self._drawer.get_image_embeddings(images)
            outputs = [
                self._drawer(
                    image_embeddings=[maps[number : number + 1] for maps in embeddings],
                    input_boxes=boxes_of_picture[None] * self._side,
                    multimask_output=False,
                )
                for number, boxes_of_picture in enumerate(boxes)
            ]
        return [output.pred_masks[0, :, 0] for output in outputs]


class _Seen:
    """Computes nothing in advance, because Grounding DINO combines words and picture early."""

    def __init__(self, detector: GroundedDetector, pictures: Sequence[Pixels]) -> None:
        self._detector, self._pictures = detector, pictures

    @torch.inference_mode()
    def find(self, requests: Mapping[int, Words]) -> dict[int, Candidates]:
        if not requests:
            return {}
        pictures = [self._pictures[number] for number in requests]
        boxed = self._detector.boxes(pictures, [words or ANYTHING for words in requests.values()])
        filled = [i for i, (boxes, _) in enumerate(boxed) if len(boxes)]
        logits = self._detector.masks([pictures[i] for i in filled], [boxed[i][0] for i in filled]) if filled else []
        drawn = dict(zip(filled, logits, strict=True))
        no_masks = torch.zeros(0, 1, 1)
        return {
            number: candidates(drawn.get(i, no_masks), boxed[i][1], pictures[i]) for i, number in enumerate(requests)
        }

    def seen_by(self, sibling: GroundedDetector) -> _Seen:
        return _Seen(sibling, self._pictures)
