"""A tree of the original system's pseudo-labels as a node of a store: its rows are read block by block when it runs."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Generator
from itertools import islice
from pathlib import Path

from pdstore.errors import InputMissing, UsageError
from stages.datasets.original_files import Kind, read_file
from stages.exchange.imports import ImportRequest
from stages.plan.editing import with_node
from stages.plan.project import Project
from stages.source.images import ImageFault

__all__ = ["add", "tree_kind"]

WHERE = "pd import original"
_PROBES = 100
"""Files that are tried before a folder is refused: the first ones may be damaged."""


def add(project: Project, request: ImportRequest) -> Project:
    """The project with a node that reads the tree.

    The tree is the folder of the request, or alone in it, as in the output of ``pd export original``. Unless the
    request has a name, the node is named after its stage: original-objects, original-parts or original-labels.

    Raises:
        InputMissing: there is no such folder. UsageError: it holds no such tree, there is such a node already, or the
            request names a node whose rows were corrected.
    """
    if request.of or request.readers:
        problem = "a tree of the original is not a correction of a node"
        raise UsageError(problem, f"{WHERE} --of", "Leave --of and --for out; pd config edit sets who reads it")
    tree, kind = tree_kind(request.path)
    stage = f"original-{kind}"
    name = request.name or stage
    images = next(node.name for node in project.nodes.values() if node.stage.output.name == "images")
    setting = f"{name}.folder={json.dumps(str(tree.absolute()), ensure_ascii=False)}"
    return with_node(project, name, stage, {"images": [images]}, [setting])


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
