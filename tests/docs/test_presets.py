"""The pipelines of docs/presets.md, read as a user would write them down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stages.plan.pipeline import Pipeline
from stages.plan.presets import parse_pipeline, preset_names, read_preset

PAGE = (Path(__file__).parents[2] / "docs" / "presets.md").read_text()
FILES = re.findall(r"^```yaml\n(extends: .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
def test_each_file_is_a_pipeline(text: str) -> None:
    """It is valid as it stands, and differs from what it extends."""
    spec = parse_pipeline(text, "docs/presets.md")
    base = re.search(r"^extends: (\w+)$", text, re.MULTILINE)
    assert base is not None
    assert list(Pipeline(spec, root="images").nodes) and spec.nodes != read_preset(base[1]).nodes


def test_people_are_taken_away_as_the_page_says() -> None:
    """The first file groups more finely, and none of its nodes is about people."""
    spec = parse_pipeline(FILES[0], "docs/presets.md")
    assert spec.nodes["grouping"].settings["k"] == 5 and not [name for name in spec.nodes if "human" in name]
    assert spec.nodes["proposal-train"].inputs["parts"] == ("crf",)


def test_the_second_round_has_the_nodes_that_the_page_names() -> None:
    """And ``ranking-2`` has the setting of its own."""
    spec = parse_pipeline(FILES[1], "docs/presets.md")
    named = set(re.findall(r"`([a-z-]+-2)`", PAGE.partition("## A second round")[2].partition("\n## ")[0]))
    assert named == {name for name in spec.nodes if name.endswith("-2")} - {"eval-labels-2", "eval-distill-2"}
    assert spec.nodes["ranking-2"].settings["k"] == 5 and spec.nodes["ranking"].settings["k"] == 6


def test_every_preset_is_named() -> None:
    """The page says of each preset what it is."""
    assert [name for name in preset_names() if f"`{name}`" not in PAGE] == []
