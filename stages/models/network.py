"""A Mask2Former with a plain or a class-specific class head, from a small one trained from scratch up to Swin-L.

Shapes: B images, Q queries, C classes, D query width, (h, w) mask size = input size / 4, or / 2 with a detail branch.
The parameters have the names of transformers' ``Mask2FormerForUniversalSegmentation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from schemas.training import NetworkSettings
from stages.models.architecture import body, checkpoint_activations
from stages.models.head import SlicedHead

__all__ = ["PartNetwork", "Queries", "build", "copy_body"]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Queries:
    """The predictions of the network for a batch, after one decoder layer.

    Attributes:
        class_logits: (B, Q, C + 1) float; the last column is "no object".
        mask_logits: (B, Q, h, w) float; above 0 is inside.
        features: (B, Q, D) float, output of the decoder after its norm.
        earlier: the predictions after each earlier layer, for deep supervision.
    """

    class_logits: Tensor
    mask_logits: Tensor
    features: Tensor
    earlier: tuple[Queries, ...] = ()


class PartNetwork(nn.Module):
    """Images in, queries out. Takes RGB images (B, 3, H, W), 0 to 255, of any dtype; H and W are multiples of 32.

    Args:
        settings: the architecture.
        num_classes: number of mask classes, not counting "no object".
        num_objects: number of object classes of a class-specific head; 0 is a plain head.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: NetworkSettings, num_classes: int, num_objects: int = 0) -> None:
        super().__init__()
        self.settings, self.num_classes, self.num_objects = settings, num_classes, num_objects
        self.model = body(settings, num_classes)
        width = settings.hidden_dim
        self.class_predictor: nn.Module
        if num_objects:
            self.class_predictor = SlicedHead(width, num_objects, num_classes)
        else:
            self.class_predictor = nn.Linear(width, num_classes + 1)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        # transformers may leave this uninitialised, and whatever was in memory would end up in the weights file.
        nn.init.normal_(self.model.pixel_level_module.decoder.level_embed)

    def forward(self, images: Tensor, object_class: Tensor | None = None) -> Queries:
        """The queries of each image; ``object_class`` (B,) int64 selects the slice of a class-specific head.

        Raises:
            ValueError: if the head is class-specific and ``object_class`` is None.
        """
        pixels = self._normalised(images, self.settings.input_scale)
        # The "intermediate" states are already normalised: one for the learnt queries, then one per layer.
        output = self.model(pixel_values=pixels, output_hidden_states=True)
        states = output.transformer_decoder_intermediate_states
        layers = [
            self._queries(state.transpose(0, 1), mask_logits, object_class)
            for state, mask_logits in zip(states, output.masks_queries_logits, strict=True)
        ]
        last = layers[-1]
        return Queries(last.class_logits, last.mask_logits, last.features, tuple(layers[:-1]))

    def _queries(self, features: Tensor, mask_logits: Tensor, object_class: Tensor | None) -> Queries:
        if isinstance(self.class_predictor, SlicedHead):
            if object_class is None:
                raise ValueError("a class-specific head needs the object classes of the images, got None")
            return Queries(self.class_predictor(features, object_class), mask_logits, features)
        return Queries(self.class_predictor(features), mask_logits, features)

    def feature_maps(self, images: Tensor, scale: float = 1.0) -> list[Tensor]:
        """The maps of the encoder, finest first: [(B, channels, H * scale / stride, W * scale / stride) float]."""
        return list(self.model.pixel_level_module.encoder(self._normalised(images, scale)).feature_maps)

    def checkpoint_activations(self) -> None:
        """Trade time for memory in training: see :func:`stages.models.architecture.checkpoint_activations`."""
        checkpoint_activations(self.model)

    def _normalised(self, images: Tensor, scale: float) -> Tensor:
        pixels = (images.float() - self.mean) / self.std
        if scale != 1:
            pixels = functional.interpolate(pixels, scale_factor=scale, mode="bilinear", align_corners=False)
        return pixels


def build(settings: NetworkSettings, num_classes: int, num_objects: int = 0, seed: int = 0) -> PartNetwork:
    """A network whose initial weights follow from ``seed``; the caller's random state does not change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PartNetwork(settings, num_classes, num_objects)


def copy_body(network: PartNetwork, weights: Mapping[str, Tensor]) -> None:
    """Load all weights except those of the class predictor, which keeps its own.

    Raises:
        RuntimeError: (from torch) if a weight is missing or has another shape, because the architectures differ.
    """
    body = {name: value for name, value in weights.items() if not name.startswith("class_predictor.")}
    predictor = {name: value for name, value in network.state_dict().items() if name.startswith("class_predictor.")}
    network.load_state_dict({**body, **predictor})
