"""Part models as ONNX files."""

from __future__ import annotations

import builtins
import contextlib
import json
from typing import Any

import numpy as np
import pytest
import torch

from pdstore.errors import PdError, UsageError
from schemas.training import NetworkSettings
from stages.models import onnx_file as exporter
from stages.models.network import build
from stages.models.onnx_file import onnx_file
from stages.models.part_model import PartModel, unnamed_classes

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
SWIN = NetworkSettings(preset="tiny", normalize_queries=True, decoder_layers=1, depths=(1, 1, 1, 1), num_queries=6)
SMALL = NetworkSettings(
    embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5, detail_dim=8
)


def outputs(content: bytes, *inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    found: list[np.ndarray] = session.run(["class_logits", "mask_logits"], dict(zip(names, inputs, strict=True)))
    return found


@pytest.mark.parametrize("settings", [SWIN, SMALL], ids=["swin", "detailed"])
def test_an_onnx_file_gives_the_logits_of_the_network(settings: NetworkSettings) -> None:
    """Within 1e-4 for any number of pictures of any size, each with its own object class."""
    network = build(settings, 3, 4, seed=1).eval()
    content, worst = onnx_file(PartModel(network, "here", unnamed_classes(4)))
    assert worst < 1e-4
    rng = np.random.default_rng(0)
    for batch, height, width in ((1, 64, 64), (4, 128, 96), (2, 96, 256)):
        pixels = rng.integers(0, 256, (batch, 3, height, width)).astype(np.float32)
        classes = rng.integers(0, 4, batch)
        with torch.no_grad():
            expected = network(torch.from_numpy(pixels), torch.from_numpy(classes))
        class_logits, mask_logits = outputs(content, pixels, classes)
        assert np.abs(class_logits - expected.class_logits.numpy()).max() < 1e-4
        assert np.abs(mask_logits - expected.mask_logits.numpy()).max() < 1e-4
        stride = 2 if settings.detail_dim else 4
        assert mask_logits.shape == (batch, settings.num_queries, height // stride, width // stride)


def test_a_plain_head_takes_pictures_only() -> None:
    """The file says what its labels are, and its opset is the documented one."""
    onnx = pytest.importorskip("onnx")
    content, _ = onnx_file(PartModel(build(SMALL, 2).eval(), "here", parts=[("cat", "head"), ("cat", "tail")]))
    class_logits, _ = outputs(content, np.zeros((1, 3, 64, 64), np.float32))
    assert class_logits.shape == (1, 5, 3)
    loaded = onnx.load_from_string(content)
    assert {one.version for one in loaded.opset_import if not one.domain} == {exporter.OPSET}
    props = {one.key: json.loads(one.value) for one in loaded.metadata_props}
    assert props == {"labels": ["cat: head", "cat: tail"], "objects": [], "parts_per_object": 0}


def test_a_file_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the exporter takes the size of a map for a constant, the file is wrong at other sizes, and is found out."""
    monkeypatch.setattr(exporter, "_sizes_as_tensors", lambda module: contextlib.nullcontext())
    with pytest.raises(PdError, match="gives other results than the network"):
        onnx_file(PartModel(build(SWIN, 1, seed=1).eval(), "here"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which extra brings it."""
    load = builtins.__import__

    def without(name: str, *values: Any) -> Any:
        if name == "onnxruntime":
            raise ModuleNotFoundError("not here", name=name)
        return load(name, *values)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"onnxruntime is not installed.*pdstore\[onnx\]"):
        onnx_file(PartModel(build(SMALL, 1).eval(), "here"))
