"""The data sets that have a name: their splits, images and classes, and how their ground truth is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdstore.errors import UsageError, nearest
from schemas.pipeline import NodeSpec, PipelineSpec
from stages.datasets import cityscapes_part, paco, part_imagenet, part_imagenet_pp, pascal_part
from stages.registry import STAGES

__all__ = ["DATASETS", "NAMES", "dataset_classes", "dataset_images", "with_truth"]


@dataclass(frozen=True)
class Dataset:
    """A data set in a folder ``root``, as its authors publish it.

    Attributes:
        splits: all splits with labels.
        images: (root, split) -> (key, code of the class) of each image; the code is empty if images show several
            objects.
        classes: (root, splits) -> (code, name) of each class.
        settings: (root, splits) -> settings of the nodes that read its ground truth.
    """

    splits: tuple[str, ...]
    images: Callable[[Path, str], Iterator[tuple[str, str]]]
    classes: Callable[[Path, Sequence[str]], list[tuple[str, str]]]
    settings: Callable[[Path, Sequence[str]], dict[str, Any]]


DATASETS: Mapping[str, Dataset] = {
    "part_imagenet": Dataset(
        ("train", "val", "test"), part_imagenet.images, part_imagenet.classes, part_imagenet.settings
    ),
    "part_imagenet_pp": Dataset(
        ("train", "val", "test"), part_imagenet_pp.images, part_imagenet_pp.classes, part_imagenet_pp.settings
    ),
    "pascal_part": Dataset(("train", "val"), pascal_part.images, pascal_part.classes, pascal_part.settings),
    "cityscapes_part": Dataset(
        ("train", "val"), cityscapes_part.images, cityscapes_part.classes, cityscapes_part.settings
    ),
    "paco_lvis": Dataset(("train", "val", "test"), paco.images, paco.classes, paco.settings),
}

NAMES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **{name: (name, dataset.splits) for name, dataset in DATASETS.items()},
    **{f"{name}_{split}": (name, (split,)) for name, dataset in DATASETS.items() for split in dataset.splits},
    "part_imagenet_valtest": ("part_imagenet", ("val", "test")),
}
"""Value of ``--dataset`` -> (data set, splits); the bare name of a data set stands for all its splits."""


def dataset_images(name: str, root: Path) -> Iterator[tuple[str, str, str]]:
    """(key, split, code) of every image. Raises UsageError if the name is unknown or the folder incomplete."""
    dataset, splits = _find(name)
    for split in splits:
        for key, code in dataset.images(root, split):
            yield key, split, code


def dataset_classes(name: str, root: Path) -> list[tuple[str, str]]:
    """(code, name) of every class. Raises UsageError if the name is unknown or the folder incomplete."""
    dataset, splits = _find(name)
    return dataset.classes(root, splits)


def with_truth(spec: PipelineSpec, name: str, root: Path) -> PipelineSpec:
    """The pipeline with its ground-truth nodes set to read the data set; their other settings do not change.

    Parts with the same name are merged unless the pipeline says otherwise, as in the reference (``USE_MERGED_GT``).

    Raises:
        UsageError: if the name is unknown, or the ground truth is missing.
    """
    dataset, splits = _find(name)
    truth = dataset.settings(root, splits)
    nodes = {n: _with_settings(node, truth) if _is_truth(node.stage or n) else node for n, node in spec.nodes.items()}
    return spec.model_copy(update={"nodes": nodes})


def _find(name: str) -> tuple[Dataset, tuple[str, ...]]:
    if name not in NAMES:
        raise UsageError(f"there is no data set {name!r}", "--dataset", nearest(name, NAMES))
    family, splits = NAMES[name]
    return DATASETS[family], splits


def _with_settings(node: NodeSpec, truth: Mapping[str, Any]) -> NodeSpec:
    others = {key: value for key, value in node.settings.items() if key not in ("format", "file", "folder")}
    return node.model_copy(update={"settings": {"merge_parts": True, **others, **truth}})


def _is_truth(stage: str) -> bool:
    return stage in STAGES and STAGES[stage].is_truth
