"""The presets against the numbers of the original, each with its file and line."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset
from tests.configs.original import NUMBERS, Number


@cache
def pipeline(preset: str) -> Pipeline:
    return Pipeline(read_preset(preset), root="images")


def value_of(preset: str, path: str) -> Any:
    node, setting = path.split(".", 1)
    value: Any = pipeline(preset)[node].settings
    for name in setting.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.setting)
def test_a_number_is_that_of_the_originals_files(number: Number) -> None:
    """Each preset has the value that its original has in effect; where it has another, the table says why."""
    assert (value_of("imagenet_21k", number.setting) == number.first) == (not number.differs)
    assert number.fork is None or value_of("imagenet_1k", number.setting) == number.fork


def test_the_page_has_every_number_with_its_source() -> None:
    """The table of docs/presets.md has the original's values, their files and lines, and those of the presets."""
    page = (Path(__file__).parents[2] / "docs" / "presets.md").read_text()
    table = page.split("| setting | first release | in |")[1].split("\n\n")[0].splitlines()[2:]
    assert table == [_line(number) for number in NUMBERS]


def _line(number: Number) -> str:
    of_21k, of_1k = (_text(value_of(preset, number.setting)) for preset in ("imagenet_21k", "imagenet_1k"))
    why = f": {number.differs}" if number.differs else ""
    first, fork = _text(number.first), _text(number.fork)
    return f"| `{number.setting}` | {first} | `{number.where}` | {of_21k}{why} | {fork} | {of_1k} |"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value).lower()
