"""README.md: its Python runs on small stores, and its commands are verbs and options that there are."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
import torch

from cli.main import VERBS
from tests.stages.loading.made import make_store

PAGE = (Path(__file__).parents[2] / "README.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHELL = "".join(re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [shlex.split(line, comments=True) for line in SHELL.splitlines() if re.match(r"(\$ )?pd .*[\w-]", line)]


def run(block: str, store: Path, **names: Any) -> dict[str, Any]:
    exec(compile(block.replace("pd-demo", str(store)), "README.md", "exec"), names)
    return names


def test_rows_masks_and_pictures(my_store: Path) -> None:
    """The masks are those of the rows, and a notebook shows the image."""
    (block,) = (block for block in PYTHON if "pdstore.open" in block)
    names = run(block, my_store)
    assert len(names["masks"]) == len(names["segments"]) > 5 and names["masks"].shape[1:] == (96, 96)
    assert "<img" in names["db"].image(0)._repr_html_()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_training_on_a_query(tmp_path: Path) -> None:
    """The last batch has what a Mask2Former takes; examples/train_on_query.py trains a real one."""

    def model(pixel_values: torch.Tensor, mask_labels: list[torch.Tensor], **further: Any) -> SimpleNamespace:
        assert len(pixel_values) == len(mask_labels) and set(further) == {"pixel_mask", "class_labels"}
        return SimpleNamespace(loss=pixel_values.mean())

    (block,) = (block for block in PYTHON if "pdstore.torch" in block)
    block = block.replace("num_workers=4", "num_workers=0").replace("batch_size=16", "batch_size=4")
    assert run(block, Path(make_store(tmp_path).url), model=model)["loss"].ndim == 0


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_has_its_verb_and_options(words: list[str]) -> None:
    """Whatever follows ``pd`` is known to the verb that it names."""
    words = words[words.index("pd") + 1 :]
    if words[0] == "--store":
        words = words[2:]
    verb = words[0].rstrip(",")
    command: Any = importlib.import_module(VERBS[verb][0]).command
    if isinstance(command, click.Group) and len(words) > 1 and words[1] in command.commands:
        command = command.commands[words[1]]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known | {"--help"}
