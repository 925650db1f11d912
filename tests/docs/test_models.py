"""docs/models.md: its code runs as it is printed, and its commands are those of pd."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.main import run_command
from schemas.training import NetworkSettings
from stages.models.exported import exported_files
from stages.models.inference import Inference
from stages.models.network import build
from stages.models.network_files import write_files
from stages.models.part_model import PartModel
from stages.source.listing import ImageClass

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
NETWORK = NetworkSettings(
    embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5, normalize_queries=True
)
PETS = [ImageClass(0, "n1", "cat"), ImageClass(1, "n2", "dog")]
SIZE = (64, 96)


def blocks(language: str) -> list[str]:
    every = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in every if name == language]


def words_of(line: str) -> list[str]:
    """The words after ``pd``. A shell's comment begins after a space; STORE#NODE has none."""
    return shlex.split(re.split(r"\s#", line)[0])[1:]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code_of_models: None) -> PartModel:
    """A folder ``part-model`` and a picture ``dog.jpg`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    one = PartModel(build(NETWORK, 3, 2).eval(), "", PETS, settings={"long_side": 96, "threshold": 0.0})
    write_files(exported_files(one), Path("part-model"))
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Path("photos").mkdir()
    for name in ("dog.jpg", "photo.jpg", "photos/1.jpg"):
        Image.fromarray(pixels).save(name, quality=100, subsampling=0)
    return one


def test_the_code_gives_the_chances_of_this_program(model: PartModel) -> None:
    """The columns of the class and the last one make the probabilities."""
    (code,) = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    (found,) = Inference(model.network, "cpu", 0).queries([np.asarray(Image.open("dog.jpg"))], [1])
    masks = np.concatenate([stack for _, stack in found.masks(range(len(found.classes)))])
    expected = np.tensordot(found.classes[:, :-1].T, masks, 1)
    np.testing.assert_allclose(names["chances"].numpy(), expected, atol=1e-4)


def test_the_first_prediction_runs(model: PartModel) -> None:
    """The command writes the file that it names."""
    (line,) = [line for block in blocks("") for line in block.splitlines() if line.startswith("pd predict part-model")]
    assert run_command(words_of(line)) == 0
    assert Path("dogs.json").exists()


@pytest.mark.parametrize("line", [line for block in blocks("") for line in block.splitlines() if line[:3] == "pd "])
def test_commands_have_the_words_of_pd(line: str, model: PartModel, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown verb or option ends with a hint at --help; most of these end for want of a store."""
    run_command(words_of(line))
    assert "--help" not in capsys.readouterr().err
