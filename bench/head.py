"""The class-specific head: the product with the slice's rows only, compared with all rows and then the slice.

Run: ``python -m bench.head [--objects 22000 --parts 8 --batch 4 --naive-batch 4 --queries 200 --width 256]``.
Each form runs the forward and backward pass of one prediction (a step of distillation has ten) in a process of its own,
on the CPU and, if there is one, on a GPU. Memory is the peak above that before the forward pass: of the resident set on
a CPU, and of torch's allocations on a GPU. The gradient of the weights is part of both and also printed separately.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor, nn

from stages.models.head import SlicedHead

__all__ = ["main"]

MIB = 2**20


class NaiveHead(nn.Module):
    """Computes all logits, (B, Q, objects x parts + 1), and keeps those of each image's class."""

    def __init__(self, width: int, num_objects: int, num_parts: int) -> None:
        super().__init__()
        self.num_parts = num_parts
        self.linear = nn.Linear(width, num_objects * num_parts + 1)

    def forward(self, features: Tensor, object_class: Tensor) -> Tensor:
        logits = self.linear(features)
        starts = (object_class * self.num_parts).tolist()
        kept = [row[:, start : start + self.num_parts] for row, start in zip(logits, starts, strict=True)]
        return torch.cat([torch.stack(kept), logits[..., -1:]], -1)


FORMS: dict[str, type[SlicedHead | NaiveHead]] = {"sliced": SlicedHead, "naive": NaiveHead}


def fill(head: SlicedHead | NaiveHead) -> None:
    """Give both forms the same weights: random rows for parts, zeros for biases and "no object"."""
    weight = head.weight if isinstance(head, SlicedHead) else head.linear.weight[:-1]
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        weight.normal_(std=0.02, generator=torch.Generator(weight.device).manual_seed(0))


def used(device: str) -> float:
    """Peak memory so far, in MiB."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(form: str, device: str, batch: int, values: argparse.Namespace) -> dict[str, float]:
    """Milliseconds (median of the repeats), peak MiB above the start, and the mean square of the logits."""
    head = FORMS[form](values.width, values.objects, values.parts).to(device)
    fill(head)
    torch.manual_seed(1)
    features = torch.randn(batch, values.queries, values.width, device=device, requires_grad=True)
    object_class = torch.randint(values.objects, (batch,), device=device)
    before, seconds = used(device), []
    for _ in range(values.repeats):
        head.zero_grad()
        start = time.perf_counter()
        logits = head(features, object_class)
        logits.square().sum().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    cost = {"ms": sorted(seconds)[len(seconds) // 2] * 1e3, "mib": used(device) - before}
    return cost | {"logits": float(logits.detach().square().mean())}


def in_own_process(form: str, device: str, batch: int) -> dict[str, float]:
    """:func:`measure` in a new process, so that the forms do not share memory."""
    words = [sys.executable, "-m", "bench.head", *sys.argv[1:], "--one", form, device, str(batch)]
    output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(output))


def main() -> None:
    """Print one row per form and device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {"objects": 22_000, "parts": 8, "batch": 4, "naive-batch": 4, "queries": 200, "width": 256, "repeats": 3}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    values = parser.parse_args()
    if values.one:
        form, device, batch = values.one
        print(json.dumps(measure(form, device, int(batch), values)))
        return
    gradient = values.objects * values.parts * (values.width + 1) * 4 / MIB
    print(f"{values.objects} x {values.parts} parts, {values.queries} queries; gradient of the head {gradient:.0f} MiB")
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        results = {}
        for form, batch in (("sliced", values.batch), ("naive", values.naive_batch)):
            results[form] = cost = in_own_process(form, device, batch)
            rows = values.parts * (values.objects if form == "naive" else 1) + 1
            numbers = f"{cost['ms']:9.1f} ms  {cost['mib']:8.0f} MiB  {batch * values.queries * rows:>12,} logits"
            print(f"{device:5} {form:7} batch {batch:3}  {numbers}")
        if values.batch == values.naive_batch:
            apart = abs(results["sliced"]["logits"] / results["naive"]["logits"] - 1)
            print(f"{device:5} mean square of the kept logits differs by {apart:.1e}, relative")


if __name__ == "__main__":
    main()
