"""Text embeddings of class names for Detic's classifier: CLIP's embedding of "a <name>", or rows of a file.

Source: Zhou et al., "Detecting Twenty-thousand Classes using Image-level Supervision", ECCV 2022, whose published
weights were trained with the text encoder of CLIP ViT-B/32.
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
    """Embeddings of names; each is computed once, when it is first needed.

    Args:
        names: the whole vocabulary.
        folder: of a CLIP text model; not needed if every name is ``given``.
        given: (len(names), D) float32 embeddings, in the order of ``names``.
    """

    def __init__(self, names: Sequence[str], folder: Path | None, device: str, given: Tensor | None = None) -> None:
        self._names, self._folder, self._device = list(dict.fromkeys(names)), folder, device
        rows: Sequence[Tensor] = () if given is None else given.to(device).unbind()
        # If two classes have the same name, the first one counts.
        self._known: dict[str, Tensor] = dict(reversed(list(zip(names, rows, strict=False))))

    def of(self, words: Sequence[str]) -> Tensor:
        """(len(words), D) float32."""
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        for first in range(0, len(new), BATCH):
            batch = new[first : first + BATCH]
            self._known.update(zip(batch, self._compute(batch), strict=True))
        return torch.stack([self._known[word] for word in words])

    @cached_property
    def every(self) -> Tensor:
        """(C, D) float32: the embeddings of all names."""
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
        embeddings: Tensor = network(**text.to(network.device)).text_embeds
        return embeddings.float()


def read_embeddings(path: Path, count: int) -> Tensor:
    """(count, D) float32 embeddings from a NumPy file.

    Raises:
        UsageError: if the file is not a NumPy file of numbers, or does not have ``count`` rows.
    """
    where = f"detic.embeddings = {path}"
    try:
        values = np.load(path, allow_pickle=False)
        if not isinstance(values, np.ndarray):
            raise ValueError("it is an archive of arrays")
    except Exception as error:
        # NumPy reads archives and headers with the parsers of Python, each of which has errors of its own.
        problem = f"the file cannot be read as a .npy file of numbers: {error!s}"
        raise UsageError(problem, where, "Write it with numpy.save") from None
    if values.ndim != 2 or len(values) != count or not np.issubdtype(values.dtype, np.floating):
        fix = "Write one row per class, in the order of the table classes; with human-only, one per word of detic.words"
        expected = f"({count}, width) floating-point numbers"
        raise UsageError(f"expected {expected}, found {values.shape} {values.dtype}", where, fix)
    return torch.from_numpy(values.astype(np.float32))
