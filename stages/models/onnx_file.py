"""A part model as an ONNX file for any number of pictures of any size, compared with the network before it is returned.

Inputs: ``pixels`` (B, 3, H, W) float32 RGB, 0 to 255, H and W multiples of 32; and for a class-specific head
``object_class`` (B,) int64, the slot of each picture's class. Outputs: ``class_logits`` (B, Q, C + 1) float32, whose
last column is "no object", and ``mask_logits`` (B, Q, h, w) float32, where (h, w) is (H, W) / 4, or / 2 with a detail
branch.

The exporter records one run of the network, and a size that is an ordinary number in it would be that of the recorded
picture for ever. So the picture is chosen such that a Swin pads its windows wherever it may have to, and the one number
that transformers makes of a size, in its deformable attention, is given as a tensor.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers.models.mask2former import modeling_mask2former as mask2former

from pdstore.errors import PdError, UsageError
from schemas.training import NetworkSettings
from stages.models.inference import STRIDE
from stages.models.network import PartNetwork
from stages.models.part_model import PartModel

__all__ = ["ONNX_NAME", "OPSET", "TOLERANCE", "onnx_file"]

ONNX_NAME = "model.onnx"
OPSET = 17
TOLERANCE = 1e-4
"""Absolute difference between the logits of the file and of the network within which a query is the same in both."""
_CHECKED = ((1, 3, 2), (3, 5, 4))
"""Pictures, height / 32 and width / 32 of the inputs for which both are compared, beside those of the recorded run."""


def onnx_file(model: PartModel) -> tuple[bytes, float]:
    """The file's content, and the largest absolute difference of its logits to those of the network.

    At each size at least half of the queries must be the same. Not all: masked attention compares mask logits with 0,
    where a rounding error lets a query attend to another pixel, so that a large network differs from itself in float64,
    too. A size that the exporter did not record right changes every query.

    Raises:
        UsageError: a package is missing.
        PdError: the file gives other results than the network.
    """
    runtime = _packages()
    network = model.network
    sizes = ((2, *_recorded_size(network.settings)), *_CHECKED)
    content = _exported(_Wrapped(network).eval(), _inputs(network, *sizes[0]), network.num_objects > 0)
    content = _described(content, model)
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    differences = [_differences(session, network, _inputs(network, *size)) for size in sizes]
    worst, usual = max(d.max() for d in differences), max(np.median(d) for d in differences)
    if not usual <= TOLERANCE:
        problem = f"the ONNX file gives other results than the network (half of its queries differ by {usual:.2g})"
        raise PdError(problem, model.source, "Export for transformers instead: --format transformers")
    return content, float(worst)


class _Wrapped(nn.Module):
    """The network with tensors for outputs."""

    def __init__(self, network: PartNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor, object_class: Tensor | None = None) -> tuple[Tensor, Tensor]:
        found = self.network(pixels, object_class)
        return found.class_logits, found.mask_logits


def _packages() -> Any:
    try:
        import onnx  # noqa: F401  # the exporter needs it
        import onnxruntime
    except ModuleNotFoundError as error:
        fix = "Install it: pip install 'pdstore[onnx]'"
        raise UsageError(f"the package {error.name} is not installed", "--format onnx", fix) from error
    return onnxruntime


def _recorded_size(settings: NetworkSettings) -> tuple[int, int]:
    """(height, width) / 32 of the recorded picture: two primes that a Swin's window has no multiple of.

    A stage then pads the picture to whole windows, unless its sides are whole windows in every picture.
    """
    height, width = [side for side in (5, 7, 11, 13) if settings.window % side][:2]
    return height, width


def _inputs(network: PartNetwork, batch: int, rows: int, columns: int) -> tuple[Tensor, ...]:
    rng = np.random.default_rng((batch, rows, columns))
    pixels = rng.integers(0, 256, (batch, 3, rows * STRIDE, columns * STRIDE)).astype(np.float32)
    classes = rng.integers(0, max(network.num_objects, 1), batch)
    return tuple(map(torch.from_numpy, (pixels, classes) if network.num_objects else (pixels,)))


def _exported(module: _Wrapped, inputs: Sequence[Tensor], has_class: bool) -> bytes:
    buffer = io.BytesIO()
    names = ["pixels", "object_class"] if has_class else ["pixels"]
    batched = {name: {0: "batch"} for name in (*names, "class_logits", "mask_logits")}
    batched["pixels"] |= {2: "height", 3: "width"}
    batched["mask_logits"] |= {2: "mask_height", 3: "mask_width"}
    with torch.no_grad(), warnings.catch_warnings(), _sizes_as_tensors(module):
        # It says that its successor is better, and of each size that it could be a constant: that is what is compared.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(inputs),
            buffer,
            dynamo=False,  # its successor takes minutes, and gives wrong results for a Swin at another size
            opset_version=OPSET,
            input_names=names,
            output_names=["class_logits", "mask_logits"],
            dynamic_axes=batched,
        )
    return buffer.getvalue()


@contextmanager
def _sizes_as_tensors(module: nn.Module) -> Iterator[None]:
    kind = mask2former.Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention
    hooks = [
        attention.register_forward_pre_hook(_with_extent, with_kwargs=True)
        for attention in module.modules()
        if isinstance(attention, kind)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _with_extent(attention: Any, values: Any, keywords: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Give the attention its points (B, N, L, 2) with an extent (B, N, L, 4), which takes the place of the map's size.

    For points it divides offsets by the map's (width, height), as constants; for boxes it computes
    offset / number of points x extent / 2. An extent of 2 x number of points / (width, height) is the same.
    """
    points = keywords["reference_points"]
    sizes = [torch.stack([_tensor(width), _tensor(height)]) for height, width in keywords["spatial_shapes_list"]]
    extent = (2 * attention.n_points / torch.stack(sizes).to(points)).expand(*points.shape)
    return values, {**keywords, "reference_points": torch.cat([points, extent], -1)}


def _tensor(size: Any) -> Tensor:
    return size if isinstance(size, Tensor) else torch.tensor(size)


def _described(content: bytes, model: PartModel) -> bytes:
    """The file with what its numbers mean: names of object classes and labels, as JSON in its metadata."""
    import onnx

    loaded = onnx.load_from_string(content)
    meant = {
        "objects": json.dumps(model.object_names),
        "parts_per_object": json.dumps(model.network.num_classes if model.objects else 0),
        "labels": json.dumps([] if model.objects else model.label_names()),
    }
    onnx.helper.set_model_props(loaded, meant)
    described: bytes = loaded.SerializeToString()
    return described


def _differences(session: Any, network: PartNetwork, inputs: Sequence[Tensor]) -> npt.NDArray[np.float32]:
    """(B * Q,) the largest absolute difference of each query's logits."""
    with torch.no_grad():
        found = network(*inputs)
    names = [one.name for one in session.get_inputs()]
    classes, masks = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
    of_classes = np.abs(classes - found.class_logits.numpy()).max(2)
    of_masks = np.abs(masks - found.mask_logits.numpy()).max((2, 3))
    differences: npt.NDArray[np.float32] = np.maximum(of_classes, of_masks).ravel()
    return differences
