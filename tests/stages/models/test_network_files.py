"""Networks as files in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pdstore.errors import CorruptData, InputMissing
from schemas.training import NetworkSettings
from stages.models.network import build
from stages.models.network_files import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    load_network,
    load_weights,
    network_files,
    save_network,
    write_files,
)
from stages.stage import CLASS_NAMES

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)


def test_a_network_comes_back_from_its_folder(tmp_path: Path) -> None:
    """Settings and weights are read back, and the loaded network gives the same results."""
    network = build(SMALL, 3, num_objects=2, seed=1).eval()
    save_network(network, tmp_path)
    again = load_network(tmp_path)
    pixels, classes = torch.full((1, 3, 64, 64), 90.0), torch.tensor([1])
    assert (again.num_classes, again.num_objects, again.settings) == (3, 2, SMALL)
    with torch.no_grad():
        assert torch.equal(again(pixels, classes).class_logits, network(pixels, classes).class_logits)


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    """A checksum therefore shows whether two trainings ended with the same weights."""
    assert network_files(build(SMALL, 3, seed=1)) == network_files(build(SMALL, 3, seed=1))
    assert network_files(build(SMALL, 3, seed=1)) != network_files(build(SMALL, 3, seed=2))


def test_missing_and_damaged_weights_are_different_errors(tmp_path: Path) -> None:
    """A missing file is a missing input; a truncated file is corrupt data. Both errors name the file."""
    with pytest.raises(InputMissing, match=r"model\.safetensors: there is no such file of weights.*Run the training"):
        load_network(tmp_path)
    save_network(build(SMALL, 3), tmp_path)
    path = tmp_path / WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptData, match=r"model\.safetensors: the file is not valid safetensors: .*Delete it"):
        load_network(tmp_path)


def test_labels_are_a_third_file() -> None:
    """The names of the classes are written only if they are known."""
    network = build(SMALL, 3)
    assert network_files(network).keys() == {WEIGHTS_NAME, CONFIG_NAME}
    assert json.loads(network_files(network, ["cat", "dog"])[CLASS_NAMES]) == ["cat", "dog"]


def test_weights_are_read_on_the_cpu(tmp_path: Path) -> None:
    """Names, types and values are those of the network's state."""
    network = build(SMALL, 3, seed=1)
    save_network(network, tmp_path)
    weights, state = load_weights(tmp_path), network.state_dict()
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[name], value) and not weights[name].is_cuda for name, value in state.items())


def test_files_are_replaced_as_a_whole(tmp_path: Path) -> None:
    """The folder is created, later content replaces earlier content, and no temporary file is left."""
    folder = tmp_path / "a" / "b"
    write_files({"x": b"one", "y": b"two"}, folder)
    write_files({"x": b"three"}, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"x": b"three", "y": b"two"}
