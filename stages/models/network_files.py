"""Stores a network as ``model.safetensors`` and ``config.json``. No pickle is written or read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pdstore.errors import CorruptData, InputMissing
from schemas.training import NetworkSettings
from stages.models.network import PartNetwork
from stages.stage import CLASS_NAMES

__all__ = [
    "CONFIG_NAME",
    "WEIGHTS_NAME",
    "load_network",
    "load_weights",
    "network_files",
    "save_network",
    "write_files",
]

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"


def network_files(network: PartNetwork, labels: Sequence[str] = ()) -> dict[str, bytes]:
    """The files of a network: name -> content. Equal weights give equal bytes.

    Args:
        labels: names of its classes, if they are known; they go into a third file.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in sorted(network.state_dict().items())}
    shape = {
        "network": network.settings.model_dump(mode="json"),
        "num_classes": network.num_classes,
        "num_objects": network.num_objects,
    }
    files = {WEIGHTS_NAME: save(weights), CONFIG_NAME: json.dumps(shape, indent=1, sort_keys=True).encode()}
    return {**files, CLASS_NAMES: json.dumps(list(labels)).encode()} if labels else files


def save_network(network: PartNetwork, folder: Path) -> None:
    """Write the files of a network into ``folder``, each whole or not at all."""
    write_files(network_files(network), folder)


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write ``files`` (name -> content) into ``folder``, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        temporary = folder / f".{name}.{uuid4().hex}"
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / name)


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Name -> tensor, on the CPU.

    Raises:
        InputMissing: if there is no file of weights.
        CorruptData: if the file is not valid safetensors.
    """
    path = folder / WEIGHTS_NAME
    if not path.exists():
        raise InputMissing("there is no such file of weights", str(path), "Run the training that writes it")
    try:
        return load_file(path)
    except SafetensorError as error:
        problem = f"the file is not valid safetensors: {error!s}"
        raise CorruptData(problem, str(path), "Delete it and run its training again") from None


def load_network(folder: Path, device: str | torch.device = "cpu") -> PartNetwork:
    """The network in ``folder``, ready for inference.

    Raises:
        InputMissing, CorruptData: see :func:`load_weights`.
    """
    weights = load_weights(folder)
    shape = json.loads((folder / CONFIG_NAME).read_text())
    settings = NetworkSettings.parse(shape["network"], str(folder / CONFIG_NAME))
    network = PartNetwork(settings, shape["num_classes"], shape["num_objects"])
    network.load_state_dict(weights)
    return network.to(device).eval()
