"""What docs/formats.md shows is what the program does."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from cli.main import pd
from schemas.tables import LABELS
from stages.exchange.export import Request, export
from stages.exchange.formats import FORMATS
from stages.registry import STAGES
from tests.stages.exchange.conftest import SIZES, Masked, masked

__all__ = ["masked"]

PAGE = (Path(__file__).parents[2] / "docs/formats.md").read_text()
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, body in FENCES if not language for line in body.splitlines() if line.startswith("pd ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_has_arguments_that_the_program_takes(line: str) -> None:
    """Every verb, format and option of the page exists."""
    _, verb, *arguments = shlex.split(line)
    command = pd.get_command(click.Context(pd), verb)
    assert command is not None
    with command.make_context(verb, arguments) as context:
        assert context.params


def test_formats_and_stages_of_the_page_exist() -> None:
    """The tables of the page name all formats besides COCO, and stages with the tables that they write."""
    named = set(re.findall(r"^\| `(\w+)` \| [^|]*\| [^|]*\| [^|]*\|$", PAGE, re.MULTILINE))
    assert named == FORMATS.keys() - {"coco", "panoptic"}
    stages = dict(re.findall(r"^\| `(original-\w+)` \| [^|]*\| `(\w+)` \|$", PAGE, re.MULTILINE))
    assert stages == {name: stage.output.name for name, stage in STAGES.items() if name.startswith("original-")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(3))
def test_the_python_of_the_page_runs(
    number: int, masked: Masked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside an export, with rows of one image; what needs a further package runs where that is installed."""
    body = [body for language, body in FENCES if language == "python"][number]
    for package in ("datasets", "supervision"):
        if package in body and not importlib.util.find_spec({"supervision": "deprecate"}.get(package, package)):
            pytest.skip(f"the package {package} is not installed")
    export(masked.store, Request("hf", "the-labels", tmp_path / "dataset"))
    monkeypatch.chdir(tmp_path)
    rows = masked.rows["the-labels"]
    found = {"rows": rows.take(rows["image_id"] == 0)}
    assert rows.table is LABELS
    exec(body, found)
    if number == 0:
        assert [mask.shape for mask in found["masks"]] == [SIZES[0]] * 4  # type: ignore[attr-defined]
