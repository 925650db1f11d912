"""Runs a trained network on pictures; the results are in the pixels of these pictures, which are those of a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from pdstore import runs
from pdstore.errors import PdError
from pdstore.runs import Runs
from schemas.stages import Precision
from stages.device.passes import Passes
from stages.models.mask_changes import mask_changes
from stages.models.network import PartNetwork
from stages.models.network_files import load_network
from stages.models.precision import autocast, lower_weights
from stages.source.frames import frame_side

__all__ = ["Found", "Inference", "Looked", "network_size"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Numbers = Sequence[int] | npt.NDArray[np.int64]
STRIDE = 32
_TOGETHER = 16
"""Masks that are brought to the size of the picture at once on a CPU, whose cache they should fit."""
_BYTES_TOGETHER = 2**28
"""Bytes of such masks on a GPU, which waits between one lot and the next."""


def network_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """(height, width) of an image in the network, both multiples of 32; ``long_side`` 0 keeps the image's own size.

    Sides are rounded instead of padded, so nothing has to be cropped afterwards, and each side changes by at most 16
    pixels. A single cell at the last stride is too small for the norms of the network, so such an image gets four.
    """
    ratio = long_side / max(height, width) if long_side else 1.0
    rows, columns = (max(STRIDE, round(side * ratio / STRIDE) * STRIDE) for side in (height, width))
    return (rows, columns) if rows * columns > STRIDE**2 else (2 * STRIDE, 2 * STRIDE)


@dataclass(frozen=True, eq=False)
class Found:
    """The predictions of the network for one picture of Q queries.

    The masks stay at the network's resolution until they are asked for: at the size of the picture all of them together
    would take far more memory than the network does.

    Attributes:
        classes: (Q, C + 1) float32 probabilities; the last column is "no object".
        features: (Q, D) float32, query features after the norm of the decoder.
        logits: (Q, h, w) float32 mask logits, on the network's device.
        size: (H, W) of the picture.
    """

    classes: Floats
    features: Floats
    logits: Tensor
    size: tuple[int, int]

    def masks(self, queries: Numbers) -> Iterator[tuple[npt.NDArray[np.int64], Floats]]:
        """(numbers of some queries, their mask probabilities (N, H, W) float32), a few of ``queries`` at a time."""
        return ((numbers, some.cpu().numpy()) for numbers, some in self.probabilities(queries))

    def probabilities(self, queries: Numbers) -> Iterator[tuple[npt.NDArray[np.int64], Tensor]]:
        """The same on the network's device."""
        wanted, together = np.asarray(queries, np.int64), _TOGETHER
        if self.logits.is_cuda:
            together = max(1, _BYTES_TOGETHER // (4 * self.size[0] * self.size[1]))
        for first in range(0, len(wanted), together):
            numbers = wanted[first : first + together]
            yield numbers, _probabilities(self.logits, numbers, self.size)

    def runs(self, queries: Numbers) -> Runs:
        """The masks of some queries: pixels whose probability is above one half.

        They are found on the network's device; what is copied to the host are the places at which they change.
        """
        found = [mask_changes(some > 0.5) for _, some in self.probabilities(queries)]
        none = np.zeros(0, np.int64)
        places, counts = (np.concatenate(values) for values in zip((none, none), *found, strict=True))
        return runs.from_changes(places, counts, *self.size)


@dataclass(frozen=True, eq=False)
class Looked:
    """The predictions of the network for a batch of B pictures, on its device, which may be computing them still.

    Attributes:
        chances: (B, Q, C + 1) float32. features: (B, Q, D) float32. logits: (B, Q, h, w) float32.
        sizes: (H, W) of each picture.
        precision: in which they were computed.
    """

    chances: Tensor
    features: Tensor
    logits: Tensor
    sizes: Sequence[tuple[int, int]]
    precision: Precision

    def found(self, number: int) -> Found:
        """The predictions for one picture, when they are computed.

        Raises:
            PdError: the network returns numbers that are not finite.
        """
        chances = self.chances[number].cpu().numpy()
        if not np.isfinite(chances).all():
            fix = "Its weights are damaged, or its training diverged"
            if self.precision == "float16":
                fix = "Set precision=bfloat16 or float32, which have a larger range"
            raise PdError(f"the network returns numbers that are not finite (precision {self.precision})", fix=fix)
        return Found(chances, self.features[number].cpu().numpy(), self.logits[number], self.sizes[number])


class Inference:
    """A network that is ready to use.

    Args:
        folder: holds the files of the network; or the network itself, on its device.
        device: such as ``cpu`` or ``cuda``.
        long_side: of the network's input, in pixels; 0 keeps the size of each image.
        precision: numbers that the network computes with; what it returns is float32.

    Attributes:
        device: that of the network.
        longest: longer side of the frames in which it is to be given pictures; 0 is without a limit.
    """

    def __init__(
        self, folder: Path | PartNetwork, device: str, long_side: int, precision: Precision = "float32"
    ) -> None:
        if isinstance(folder, Path):
            self.network: PartNetwork = load_network(folder, device)
            lower_weights(self.network, precision)
        else:
            self.network = folder
        self.device, self._long_side, self._precision = torch.device(device), long_side, precision
        # The weights of a network that is in training may be other tensors the next time.
        self._passes = Passes(self.device, record=isinstance(folder, Path))
        self.longest = frame_side(long_side)

    def shape(self, pixels: Pixels) -> tuple[int, int]:
        """(height, width) in the network; pictures of equal shape can share a batch."""
        return network_size(pixels.shape[0], pixels.shape[1], self._long_side)

    def queries(
        self, pictures: Sequence[Pixels], object_class: Sequence[int] | None = None, *, flip: bool = False
    ) -> list[Found]:
        """The predictions for pictures of equal :meth:`shape`.

        Args:
            pictures: each (H, W, 3) uint8 RGB.
            object_class: of each picture, for a class-specific head.
            flip: show the network the mirror images; the masks are mirrored back.

        Raises:
            PdError: the network returns numbers that are not finite.
        """
        looked = self.look(pictures, object_class, flip=flip)
        return [looked.found(number) for number in range(len(pictures))]

    # Not inference_mode: tensors that transformers keeps for later calls could not be used in a training any more.
    @torch.no_grad()
    def look(
        self, pictures: Sequence[Pixels], object_class: Sequence[int] | None = None, *, flip: bool = False
    ) -> Looked:
        """The same on the network's device, which is not waited for."""
        with self._passes.uploading():
            given = [self._batch(pictures)]
            if object_class is not None:
                given.append(torch.tensor(list(object_class), device=self.device))
        chances, features, logits = self._passes(flip, self._flipped if flip else self._queries, *given)
        sizes = [picture.shape[:2] for picture in pictures]
        return Looked(chances, features, logits, sizes, self._precision)

    @torch.no_grad()
    def maps(self, pictures: Sequence[Pixels], which: Sequence[int], scale: float) -> list[list[Tensor]]:
        """The feature maps ``which`` of each picture: (C, h, w) float32 over the whole picture, on the device."""

        def encoded(batch: Tensor) -> tuple[Tensor, ...]:
            with self._autocast():
                every = self.network.feature_maps(batch, scale)
            return tuple(every[i].float() for i in which)

        with self._passes.uploading():
            batch = self._batch(pictures)
        chosen = self._passes((*which, scale), encoded, batch)
        return [[maps[i] for maps in chosen] for i in range(len(pictures))]

    def _queries(self, batch: Tensor, classes: Tensor | None = None) -> tuple[Tensor, ...]:
        with self._autocast():
            output = self.network(batch, classes)
        return output.class_logits.float().softmax(-1), output.features.float(), output.mask_logits.float()

    def _flipped(self, batch: Tensor, classes: Tensor | None = None) -> tuple[Tensor, ...]:
        chances, features, logits = self._queries(batch.flip(-1), classes)
        return chances, features, logits.flip(-1)

    def _batch(self, pictures: Sequence[Pixels]) -> Tensor:
        size = self.shape(pictures[0])
        tensors = []
        for pixels in pictures:
            # On the device, because resizing takes longer there than copying.
            tensor = torch.from_numpy(np.array(pixels)).to(self.device).permute(2, 0, 1)
            if tensor.shape[1:] != size:
                resized = functional.interpolate(tensor[None].float(), size, mode="bilinear", antialias=True)
                tensor = resized[0].round().clamp(0, 255).to(torch.uint8)
            tensors.append(tensor)
        return torch.stack(tensors)

    def _autocast(self) -> torch.autocast:
        return autocast(self.device, self._precision)


@torch.inference_mode()
def _probabilities(logits: Tensor, numbers: npt.NDArray[np.int64], size: tuple[int, int]) -> Tensor:
    some = logits[torch.from_numpy(numbers).to(logits.device)]
    return functional.interpolate(some[None], size, mode="bilinear", align_corners=False)[0].sigmoid_()
