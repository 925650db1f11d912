"""Masks in a COCO file as a node: drawn anew, or the corrections of another node."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pdstore.errors import InputMissing, UsageError
from stages.datasets.coco import CocoReader
from stages.datasets.part_names import class_names, vocabulary_of
from stages.exchange.imports import ImportRequest
from stages.plan.editing import with_node, with_reader
from stages.plan.project import Project

__all__ = ["add"]

WHERE = "pd import coco"
_STAGES: Mapping[str, tuple[str, str]] = {
    "objects": ("annotated-objects", "objects"),
    "parts": ("annotated-parts", "parts"),
    "labels": ("annotated-labels", "labels"),
    "predictions": ("annotated-labels", "labels"),
}
"""Table of the corrected node -> the stage of the corrections, and the role in which it reads that node."""


def add(project: Project, request: ImportRequest) -> Project:
    """The project with a node that reads the file.

    With ``of``, it has the table of that node (``labels`` if that is ``predictions``), and its rows in every image that
    the file does not list. Without it, it has the table ``parts``, and no rows in such images.

    Raises:
        UsageError: no name is given or it is taken, or ``of`` or a reader is no node that fits.
        InputMissing: the file is not there, or none of its images is in the store.
        CorruptData: the file is not COCO JSON.
    """
    if not request.name:
        raise UsageError("the new node needs a name", WHERE, "Add --as NODE")
    if request.readers and not request.of:
        raise UsageError("no node is named that they read now", f"{WHERE} --for {request.readers[0]}", "Add --of NODE")
    stage, inputs = "annotated-parts", {"images": [_images(project)]}
    if request.of:
        table = project[request.of].stage.output.name
        if table not in _STAGES:
            problem = f"expected a node that writes {', '.join(_STAGES)}, found {request.of}, which writes {table}"
            raise UsageError(problem, f"{WHERE} --of", "Name another node")
        stage, role = _STAGES[table]
        inputs[role] = [request.of]
    path = request.path.absolute()
    _check_file(project, request)
    setting = f"{request.name}.file={json.dumps(str(path), ensure_ascii=False)}"
    added = with_node(project, request.name, stage, inputs, [setting])
    for reader in request.readers:
        added = with_reader(added, reader, request.of, request.name)
    return added


def _images(project: Project) -> str:
    return next(name for name, node in project.nodes.items() if node.stage.output.name == "images")


def _check_file(project: Project, request: ImportRequest) -> None:
    """Read the file once now: what is wrong with it as a whole is said before the pipeline is changed."""
    if not request.path.is_file():
        raise InputMissing("there is no such file", str(request.path), "Name a COCO file")
    vocabulary = vocabulary_of(class_names(project.listing.classes()))
    CocoReader([request.path], vocabulary=vocabulary).match(project.listing.all(), project.source.root)
