"""A tree of the original system's pseudo-labels as a node of a store: its rows are read block by block when it runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from itertools import islice
from pathlib import Path

from pdstore.errors import InputMissing, UsageError
from stages.datasets.original_files import Kind, read_file
from stages.plan.editing import with_node
from stages.plan.project import Project
from stages.source.images import ImageFault

__all__ = ["original_node", "tree_kind"]

WHERE = "pd import original"
_PROBES = 100
"""Files that are tried before a folder is refused: the first ones may be damaged."""


def original_node(project: Project, folder: Path, name: str = "") -> tuple[Project, str]:
    """The store's pipeline with a further node that reads the tree, and the node's name. Nothing is recorded.

    Args:
        folder: the tree, or a folder that holds it alone, such as the output of ``pd export original``.
        name: of the node; by default that of its stage: original-objects, original-parts or original-labels.

    Raises:
        InputMissing: there is no such folder. UsageError: it holds no such tree, there is such a node already, or the
            pipeline reads no images.
    """
    tree, kind = tree_kind(folder)
    stage = f"original-{kind}"
    images = next((n.name for n in project.pipeline.nodes.values() if n.stage.output.name == "images"), None)
    if images is None:
        raise UsageError("the pipeline has no node that reads the images", WHERE, "Add one: pd node add ingest")
    name = name or stage
    overrides = [f"{name}.folder={tree.absolute()}"]
    return with_node(project, name, stage, {"images": [images]}, overrides), name


def tree_kind(folder: Path) -> tuple[Path, Kind]:
    """The tree that a folder is or holds, and what its files are.

    Raises:
        InputMissing: there is no such folder. UsageError: no file of it can be read as pseudo-labels of the original.
    """
    if not folder.is_dir():
        raise InputMissing("there is no such folder", str(folder), "Give the folder that holds a folder per class")
    inner = [path for path in folder.iterdir() if path.is_dir()]
    tree = inner[0] if len(inner) == 1 and any([path.is_dir() for path in inner[0].iterdir()]) else folder
    fault: ImageFault | None = None
    with contextlib.closing(_files(tree)) as files:
        for path in islice(files, _PROBES):
            try:
                return tree, read_file(path).kind
            except ImageFault as error:
                fault = fault or error
    found = fault.detail if fault else "no folder in it has a file"
    raise UsageError(f"expected a folder per class with files of pseudo-labels, found {found}", str(folder), _FIX)


_FIX = (
    "Give the folder that the original's configuration names, such as …/part_masks_with_class/imagenet_1k_train/dot_8"
)


def _files(tree: Path) -> Generator[Path]:
    for code in sorted(path for path in tree.iterdir() if path.is_dir()):
        with os.scandir(code) as entries:
            yield from (Path(entry.path) for entry in entries if entry.is_file())
