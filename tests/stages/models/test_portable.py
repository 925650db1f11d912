"""The class that lies beside exported weights, as a class of its own: its results are in test_exported."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import torch

from schemas.training import NetworkSettings
from stages.models import detail, portable
from stages.models.architecture import config
from stages.models.portable import PartMask2Former, PartMask2FormerConfig

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)


@pytest.mark.parametrize("module", [portable, detail])
def test_it_needs_torch_and_transformers_only(module: object) -> None:
    """Beside what lies in the same folder, it imports nothing of this program."""
    tree = ast.parse(Path(str(module.__file__)).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    roots = {str(name).split(".")[0] for name in names - {"stages.models.detail"}}
    assert roots - set(sys.stdlib_module_names) <= {"torch", "transformers"}


def test_the_picture_is_seen_at_another_size() -> None:
    """With input_scale 2, masks lie at the stride of a picture twice as large."""
    values = config(SMALL, 1).to_dict()
    sizes = []
    for scale in (1.0, 2.0):
        values["part_distillation"] = {"network": {**SMALL.model_dump(), "input_scale": scale}}
        model = PartMask2Former(PartMask2FormerConfig.from_dict(values)).eval()
        with torch.no_grad():
            sizes.append(model(pixel_values=torch.zeros(1, 3, 64, 96)).masks_queries_logits.shape[-2:])
    assert sizes == [(16, 24), (32, 48)]
