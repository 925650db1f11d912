"""Text embeddings of class names, as Detic's classifier takes them: CLIP's of "a " and the name, or from a file.

Source: Zhou et al., "Detecting Twenty-thousand Classes using Image-level Supervision", ECCV 2022, whose published
weights go with the text encoder of CLIP ViT-B/32.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTextModelWithProjection

from pdstore.errors import UsageError
from stages.detectors.pretrained import load_network, load_tokenizer

__all__ = ["PromptEmbeddings", "read_embeddings"]

BATCH = 256


class PromptEmbeddings:
    """Embeddings of names; each is computed once, when it is first asked for.

    Args:
        names: all names that there are.
        folder: of a CLIP text model, for ``names`` that are not ``given``.
        given: (len(names), D) float32, in the order of ``names``.
    """

    def __init__(self, names: Sequence[str], folder: Path | None, device: str, given: Tensor | None = None) -> None:
        self._names, self._folder, self._device = list(dict.fromkeys(names)), folder, device
        rows = [] if given is None else given.to(device)
        # Of two classes with one name the first counts.
        self._known: dict[str, Tensor] = dict(reversed(list(zip(names, rows, strict=False))))

    def of(self, words: Sequence[str]) -> Tensor:
        """(len(words), D) float32."""
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        for first in range(0, len(new), BATCH):
            some = new[first : first + BATCH]
            self._known.update(zip(some, self._compute(some), strict=True))
        return torch.stack([self._known[word] for word in words])

    @cached_property
    def every(self) -> Tensor:
        """(C, D) float32, of all names."""
        return self.of(self._names)

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        assert self._folder is not None
        return load_network(CLIPTextModelWithProjection, self._folder, self._device), load_tokenizer(self._folder)

    @torch.inference_mode()
    def _compute(self, names: Sequence[str]) -> Tensor:
        network, tokenizer = self._model
        longest = network.config.max_position_embeddings
        text = tokenizer(
            [f"a {name}" for name in names], padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )
        found: Tensor = network(**text.to(network.device)).text_embeds
        return found.float()


def read_embeddings(path: Path, count: int) -> Tensor:
    """The embeddings of ``count`` names from a NumPy file.

    Raises:
        UsageError: it is no such file, or has not one row for each name.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        fix = "Write it with numpy.save"
        raise UsageError(
            f"expected a .npy file of numbers, found {error!s}", f"detic.embeddings = {path}", fix
        ) from None
    if values.ndim != 2 or len(values) != count or not np.issubdtype(values.dtype, np.floating):
        fix = "One row a class in the order of the table classes; with human-only, one a word of detic.words"
        expected = f"({count}, width) floating-point numbers"
        raise UsageError(f"expected {expected}, found {values.shape} {values.dtype}", f"detic.embeddings = {path}", fix)
    return torch.from_numpy(values.astype(np.float32))
