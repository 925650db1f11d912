from pathlib import Path

import pytest
import torch

from pdstore.errors import CorruptData, InputMissing
from schemas.training import NetworkSettings
from stages.models.network import build
from stages.models.network_files import WEIGHTS_NAME, load_network, network_files, save_network

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)


def test_a_network_comes_back_from_its_folder(tmp_path: Path) -> None:
    """Shape and weights are read back, and the loaded network says the same."""
    network = build(SMALL, 3, num_objects=2, seed=1).eval()
    save_network(network, tmp_path)
    again = load_network(tmp_path)
    pixels, classes = torch.full((1, 3, 64, 64), 90.0), torch.tensor([1])
    assert (again.num_classes, again.num_objects, again.settings) == (3, 2, SMALL)
    with torch.no_grad():
        assert torch.equal(again(pixels, classes).class_logits, network(pixels, classes).class_logits)


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    """So a checksum tells whether two trainings ended alike."""
    assert network_files(build(SMALL, 3, seed=1)) == network_files(build(SMALL, 3, seed=1))
    assert network_files(build(SMALL, 3, seed=1)) != network_files(build(SMALL, 3, seed=2))


def test_missing_and_damaged_weights_are_told_apart(tmp_path: Path) -> None:
    """No file is a missing input; a truncated one is corrupt data that names the file."""
    with pytest.raises(InputMissing, match="safetensors"):
        load_network(tmp_path)
    save_network(build(SMALL, 3), tmp_path)
    path = tmp_path / WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptData, match="safetensors"):
        load_network(tmp_path)
