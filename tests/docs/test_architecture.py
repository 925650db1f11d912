"""``docs/architecture.md`` shows the house as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
QUESTIONS = [line for line in PAGE.split("## Eight questions")[1].split("\n## ")[0].splitlines() if "?" in line]
_PATH = re.compile(r"`((?:pdstore|schemas|stages|cli)/[\w/]+\.py)`")


def test_every_path_of_the_page_exists() -> None:
    """Files and folders that the page names are where it says."""
    named = set(re.findall(r"`((?:pdstore|schemas|stages|cli|tests|configs|bench|examples)/[\w./]*)`", PAGE))
    assert len(named) > 40
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_every_room_is_on_the_page() -> None:
    """A room that is added gets its line."""
    rooms = [path.name for path in (ROOT / "stages").iterdir() if (path / "__init__.py").exists()]
    assert len(rooms) > 10
    assert [room for room in rooms if f"{room}/" not in PAGE] == []


@pytest.mark.parametrize("line", QUESTIONS)
def test_an_answer_is_in_at_most_two_files(line: str) -> None:
    """The answer to a newcomer's question names at most two modules, and what it names is in them."""
    answer = line.split("|")[2]
    paths = set(_PATH.findall(answer))
    assert 1 <= len(paths) <= 2
    code = "".join((ROOT / path).read_text() for path in paths)
    names = [name.split(".")[-1] for name in re.findall(r"`([A-Za-z_.]+)`", answer)]
    assert [name for name in names if name not in code] == []


def test_there_are_eight_questions() -> None:
    """The table is read as a table."""
    assert len(QUESTIONS) == 8
