"""A trained network on pictures of any size: resized for the network, results back in original image pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from stages.models.network import PartNetwork
from stages.models.network_files import load_network

__all__ = ["Found", "Inference", "network_size"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
STRIDE = 32


def network_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """The size that an image has in the network: its long side as asked for (0: its own), both sides multiples of 32.

    Sides are rounded rather than padded: nothing has to be cut away afterwards, and the aspect changes by less
    than 16 pixels. A single cell at the last stride is too little for the network's norms: such an image has four.
    """
    ratio = long_side / max(height, width) if long_side else 1.0
    rows, columns = (max(STRIDE, round(side * ratio / STRIDE) * STRIDE) for side in (height, width))
    return (rows, columns) if rows * columns > STRIDE**2 else (2 * STRIDE, 2 * STRIDE)


@dataclass(frozen=True, eq=False)
class Found:
    """What the network says about one image.

    Attributes:
        classes: (Q, C + 1) float32 probabilities, the last column is "no object".
        masks: (Q, H, W) float32 mask probabilities, original image pixels.
        features: (Q, D) float32, query features after the decoder's norm.
    """

    classes: Floats
    masks: Floats
    features: Floats


class Inference:
    """A network that is ready to use.

    Args:
        folder: with the network's files.
        long_side: of the network's input, pixels; 0 keeps the images' own.
    """

    def __init__(self, folder: Path, device: str, long_side: int) -> None:
        self.network: PartNetwork = load_network(folder, device)
        self._device, self._long_side = torch.device(device), long_side

    def shape(self, pixels: Pixels) -> tuple[int, int]:
        """Pictures of equal shape can be taken together."""
        return network_size(pixels.shape[0], pixels.shape[1], self._long_side)

    @torch.inference_mode()
    def queries(
        self, pictures: Sequence[Pixels], object_class: Sequence[int] | None = None, *, flip: bool = False
    ) -> list[Found]:
        """Queries of pictures of equal :meth:`shape`; ``flip`` looks at their mirror images."""
        batch = self._batch(pictures)
        classes = None if object_class is None else torch.tensor(list(object_class), device=self._device)
        with self._autocast():
            found = self.network(batch.flip(-1) if flip else batch, classes)
        logits = found.mask_logits.float().flip(-1) if flip else found.mask_logits.float()
        chances = found.class_logits.float().softmax(-1).cpu().numpy()
        features = found.features.float().cpu().numpy()
        return [
            Found(chances[i], _to_size(logits[i], picture).sigmoid().cpu().numpy(), features[i])
            for i, picture in enumerate(pictures)
        ]

    @torch.inference_mode()
    def maps(self, pictures: Sequence[Pixels], which: Sequence[int], scale: float) -> list[list[Floats]]:
        """For each picture the feature maps ``which``: (C, h, w) float32 over the whole picture."""
        batch = self._batch(pictures)
        with self._autocast():
            found = self.network.feature_maps(batch, scale)
        chosen = [found[i].float().cpu().numpy() for i in which]
        return [[maps[i] for maps in chosen] for i in range(len(pictures))]

    def _batch(self, pictures: Sequence[Pixels]) -> Tensor:
        size = self.shape(pictures[0])
        tensors = []
        for pixels in pictures:
            tensor = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
            if tensor.shape[1:] != size:
                resized = functional.interpolate(tensor[None].float(), size, mode="bilinear", antialias=True)
                tensor = resized[0].round().clamp(0, 255).to(torch.uint8)
            tensors.append(tensor)
        return torch.stack(tensors).to(self._device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda")


def _to_size(logits: Tensor, picture: Pixels) -> Tensor:
    return functional.interpolate(logits[None], picture.shape[:2], mode="bilinear", align_corners=False)[0]
