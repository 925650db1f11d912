"""One sample as PyTorch takes it, and random changes of it that are the same wherever they are drawn."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from pdstore.errors import UsageError
from pdstore.stream import generator
from stages.kernels.warping.warp import row_major
from stages.loading.reader import StoredSample

__all__ = ["ImageAs", "Sample", "as_sample", "check_image_as", "seeded"]

ImageAs = Literal["tensor", "pil"]
Sample = dict[str, Any]
"""What a data set gives for an image.

``image``: (3, H, W) uint8 RGB, or a PIL image. ``masks``: (N, H, W) bool. ``labels``: (N,) int64. ``scores``: (N,)
float32. ``boxes``: (N, 4) float32, left, top, right, bottom in pixels. ``image_id``: int. Masks and boxes are in the
pixels of ``image``. Without masks, N is 0, and ``labels`` are those that the query gives the image.
"""


def as_sample(stored: StoredSample, image_as: ImageAs = "tensor") -> Sample:
    """Decode a sample. Raises CorruptData if the image is no longer as it was ingested, or a mask is damaged."""
    pixels = stored.pixels()
    channels = np.ascontiguousarray(pixels.transpose(2, 0, 1)) if image_as == "tensor" else None
    return {
        "image": Image.fromarray(pixels) if channels is None else torch.from_numpy(channels),
        "masks": _row_major(stored.masks()),
        "labels": torch.from_numpy(stored.labels),
        "scores": torch.from_numpy(stored.scores),
        "boxes": torch.from_numpy(stored.boxes()),
        "image_id": stored.image_id,
    }


def check_image_as(value: str) -> None:
    """Raises UsageError if there is no such kind of image."""
    if value not in ("tensor", "pil"):
        raise UsageError(f"an image can be a tensor or a PIL image, not {value!r}", "image_as", "Use 'tensor' or 'pil'")


@contextlib.contextmanager
def seeded(*key: int | str) -> Iterator[None]:
    """Within the context, random numbers of torch (on the CPU), NumPy and ``random`` depend on ``key`` alone.

    The generators continue afterwards as if nothing had been drawn. Not for threads, which share the generators.
    """
    seed = int(generator(*key).integers(2**32))
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


def _row_major(stack: npt.NDArray[np.bool_]) -> Tensor:
    """(N, H, W) bool whose masks are column-major -> the same, contiguous."""
    out = np.empty(stack.shape, bool)
    row_major(stack, list(out))
    return torch.from_numpy(out)
