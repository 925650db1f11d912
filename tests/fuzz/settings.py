"""Pipelines and single settings, as users write them in YAML."""

from __future__ import annotations

import random
from importlib import resources
from pathlib import Path

from schemas.pipeline import PipelineSpec
from stages.plan.overrides import merge_overrides
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset
from tests.fuzz.mutations import mutated_text

__all__ = ["DOORS"]

_OVERRIDES = [
    "grouping.k=5",
    "ingest.max_pixels=1000",
    "crf.iterations=3",
    "detic.min_score=0.5",
    "ranking.metric=l2",
    "proposal-train.augment={size_px: 32, flip: false}",
    "part-train.network.hidden_sizes=[8, 8, 8, 8]",
    "labels.crf=null",
]


def _presets(folder: Path) -> list[bytes]:
    names = ("demo", "best", "imagenet_1k", "no_weights")
    return [(resources.files("configs") / f"{name}.yaml").read_bytes() for name in names]


def _mutated(random: random.Random, files: list[bytes]) -> bytes:
    return mutated_text(random, random.choice(files).decode()).encode(errors="surrogatepass")


def _read_pipeline(folder: Path, data: bytes) -> None:
    path = folder / "pipeline.yaml"
    path.write_bytes(data)
    _checked(read_preset(str(path)))


def _texts(folder: Path) -> list[bytes]:
    return [text.encode() for text in _OVERRIDES]


def _read_override(folder: Path, data: bytes) -> None:
    overrides = merge_overrides([data.decode(errors="surrogatepass")])
    Pipeline(read_preset("demo"), overrides)


def _checked(spec: PipelineSpec) -> None:
    Pipeline(spec)


DOORS = {
    "pipelines": (_presets, _mutated, _read_pipeline, 2),
    "settings": (_texts, _mutated, _read_override, 2),
}
