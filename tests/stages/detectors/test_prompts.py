from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, CLIPTextModelWithProjection

from pdstore.errors import UsageError
from stages.detectors.prompts import PromptEmbeddings, read_embeddings


def test_a_name_is_embedded_with_an_article(checkpoints) -> None:
    """The text of a class is "a " and its name, and its embedding does not depend on other names."""
    prompts = PromptEmbeddings(["cat", "sea lion"], checkpoints["clip"], "cpu")
    network = CLIPTextModelWithProjection.from_pretrained(checkpoints["clip"]).eval()
    with torch.inference_mode():
        text = AutoTokenizer.from_pretrained(checkpoints["clip"])(["a cat"], return_tensors="pt")
        expected = network(**text).text_embeds
    assert torch.allclose(prompts.every[:1], expected, atol=1e-5)
    assert torch.equal(prompts.of(["sea lion", "cat", "cat"]), prompts.every[[1, 0, 0]])


def test_embeddings_may_come_from_a_file(tmp_path: Path) -> None:
    """Rows of a .npy belong to the names in order; if two classes have the same name, the first counts."""
    values = np.arange(12, dtype=np.float64).reshape(3, 4)
    np.save(tmp_path / "names.npy", values)
    prompts = PromptEmbeddings(["crane", "cat", "crane"], None, "cpu", read_embeddings(tmp_path / "names.npy", 3))
    assert prompts.of(["cat", "crane"]).tolist() == values[[1, 0]].tolist()
    assert prompts.every.tolist() == values[:2].tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 4)), r"expected \(3, width\) floating-point numbers, found \(2, 4\)"),
        (np.zeros((3, 4), int), "found .* int64"),
        (np.array([{}]), r"cannot be read as a \.npy file of numbers"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    """The file must have one row of numbers per name; a pickle inside is not opened."""
    np.save(tmp_path / "names.npy", values, allow_pickle=True)
    with pytest.raises(UsageError, match=message):
        read_embeddings(tmp_path / "names.npy", 3)
