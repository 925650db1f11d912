"""The part model that a node of a store trained or runs, or that lies in a folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdstore.errors import CorruptData, InputMissing, UsageError
from schemas.training import TrainSettings
from stages.models.exported import MEANING, read_exported
from stages.models.model_folder import model_folder
from stages.models.network_files import CONFIG_NAME, load_network
from stages.models.part_model import PartModel, unnamed_classes
from stages.plan.pipeline import Node
from stages.plan.project import Project
from stages.source.listing import ImageClass
from stages.source.text_files import read_lines
from stages.stage import CLASS_NAMES, PART_NAMES

__all__ = ["model_in_folder", "model_of_node", "readers", "trained_node"]

_RUNNERS = ("predict", "proposals")
"""Stages that run a network of parts and do nothing else."""


def trained_node(project: Project, name: str) -> Node:
    """The node whose network ``name`` is or runs.

    Raises:
        UsageError: there is no such node, or it has no network of its own.
    """
    node = project[name]
    if node.stage.name in _RUNNERS:
        return project[node.inputs["model"][0]]
    if node.stage.writes_model:
        return node
    known = [one.name for one in project.nodes.values() if one.stage.writes_model or one.stage.name in _RUNNERS]
    fix = f"Name one of: {', '.join(known)}" if known else "Train a model first"
    raise UsageError(f"expected a node with a network, found one of stage {node.stage.name}", name, fix)


def readers(project: Project, name: str) -> list[Node]:
    """The nodes that run the network of ``name`` on the store's images, in the pipeline's order."""
    return [n for n in project.nodes.values() if n.stage.name in _RUNNERS and n.inputs["model"] == (name,)]


def model_of_node(project: Project, name: str) -> PartModel:
    """The model of a node that trains or imports a network, or of one that runs it.

    Its settings are those of the node that runs it: ``name``, or the first of :func:`readers`.

    Raises:
        UsageError: see :func:`trained_node`.
        InputMissing: the node has not been run.
    """
    node = trained_node(project, name)
    folder = model_folder(project.shown(node.name))
    asked = [project[name]] if name != node.name else readers(project, node.name)
    runner = asked[0] if asked else None
    model = _read(folder, f"{project.store.url}#{node.name}")
    if model.network.num_objects:
        objects = _objects(project, runner, model.network.num_objects)
        model = replace(model, objects=objects)
    return replace(
        model,
        settings=runner.settings.identity() if runner else {},
        trained_px=node.settings.augment.size_px if isinstance(node.settings, TrainSettings) else 0,
    )


def model_in_folder(folder: Path) -> PartModel:
    """The model in a folder that ``pd weights export`` or ``pd weights convert`` wrote.

    Raises:
        InputMissing, CorruptData: the folder has no such files, or they are damaged.
        UsageError: it is the folder of another program.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        fix = "Give a folder that pd weights export wrote, or a node: STORE#NODE"
        raise InputMissing(f"the folder has no {CONFIG_NAME}", str(folder), fix)
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise CorruptData(f"the file is not valid JSON: {error!s}", str(path), "Export the model again") from None
    if MEANING in values:
        return read_exported(folder)
    if "network" not in values:
        fix = "Import it first: pd weights convert FOLDER NEW_FOLDER"
        raise UsageError("expected a model that this program exported, found another's", str(folder), fix)
    model = _read(folder, str(folder))
    return replace(model, objects=unnamed_classes(model.network.num_objects))


def _read(folder: Path, source: str) -> PartModel:
    parts = _json(folder / PART_NAMES)
    labels = _json(folder / CLASS_NAMES)
    return PartModel(load_network(folder), source, parts=[(category, part) for category, part in parts], labels=labels)


def _json(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_text()) if path.exists() else []
    return found


def _objects(project: Project, runner: Node | None, number: int) -> list[ImageClass]:
    """The classes of the head's slots: of the setting ``slots``, else of the vocabulary, if it has as many."""
    if runner is not None and "slots" in runner.files:
        lines = [line.strip() for _, line in read_lines(runner.files["slots"]) if line.strip()]
        pairs = [[word.strip() for word in line.split(",", 1)] for line in lines]
        named = [ImageClass(slot, pair[0], pair[-1]) for slot, pair in enumerate(pairs)]
        return [*named, *unnamed_classes(number)[len(named) :]]
    classes = project.listing.classes()
    return classes if len(classes) == number else unnamed_classes(number)
