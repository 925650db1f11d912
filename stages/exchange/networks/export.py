"""Writes a trained model as a folder for other programs: whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from uuid import uuid4

from pdstore.errors import StorageFailure, UsageError
from stages.exchange.networks.model_card import CARD_NAME, model_card
from stages.exchange.networks.trained_model import model_of_node, trained_node
from stages.models.exported import exported_files
from stages.models.network_files import write_files
from stages.models.onnx_file import ONNX_NAME, onnx_file
from stages.plan.project import Project

__all__ = ["check_new_folder", "export_model"]

Format = Literal["transformers", "onnx"]


def export_model(
    project: Project, name: str, folder: Path, form: Format = "transformers", classes: Sequence[str] = ()
) -> str:
    """Write the model of the node ``name`` into ``folder``. Returns a sentence about it.

    Args:
        form: ``transformers`` or ``onnx``.
        classes: names or codes of the object classes of a class-specific head to take; all of them if it is empty.

    Raises:
        UsageError: the folder is not empty, the node has no network, a class is unknown, or a package is missing.
        InputMissing: the node has not been run.
        PdError: an ONNX file gives other results than the network.
    """
    check_new_folder(folder)
    node, model = trained_node(project, name), model_of_node(project, name)
    if classes:
        model = model.of_classes(classes)
    worst = None
    if form == "onnx":
        content, worst = onnx_file(model)
        files, text = {ONNX_NAME: content}, f"logits differ from the network's by at most {worst:.1g}"
    else:
        files, text = exported_files(model), f"{len(model.label_names())} labels"
    _write(files | {CARD_NAME: model_card(project, node, model, worst)}, folder)
    return f"{model.kind}, {text}"


def check_new_folder(folder: Path) -> None:
    """Raises UsageError unless ``folder`` is empty, or does not exist in a folder that does."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found = "files in it" if folder.is_dir() else "a file"
        raise UsageError(f"expected a new or empty folder, found {found}", str(folder), "Name another folder")
    if not folder.absolute().parent.is_dir():
        fix = f"Create it first: mkdir -p {folder.parent}"
        raise UsageError(f"the folder {folder.parent} does not exist", str(folder), fix)


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    folder = folder.absolute()
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}")
    try:
        write_files(files, temporary)
        if folder.exists():
            # Not replaced: it may be the current folder of this process or of another.
            for path in temporary.iterdir():
                os.replace(path, folder / path.name)
        else:
            os.replace(temporary, folder)
    except OSError as error:
        fix = "Free some space or name another folder"
        raise StorageFailure(f"the folder cannot be written ({error!s})", str(folder), fix) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
