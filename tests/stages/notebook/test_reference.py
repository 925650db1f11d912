"""The page of the API: as the code prints it, and with examples that run."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pdstore
from stages.notebook import Database
from stages.notebook.reference import OBJECTS, api_page

ROOT = Path(__file__).parents[3]
MEMBERS = [
    member
    for item in OBJECTS
    for member in [item, *(value for name, value in vars(item).items() if inspect.isclass(item) and name[0] != "_")]
]
EXAMPLES = [example for item in OBJECTS for example in doctest.DocTestFinder(exclude_empty=True).find(item, globs={})]


def test_the_page_is_what_the_code_prints() -> None:
    """docs/api.md equals the output of ``python -m stages.notebook``; if it does not, write that output to it."""
    command = [sys.executable, "-m", "stages.notebook"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "api.md").read_text() == printed == api_page()


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.examples], ids=lambda example: example.name)
def test_an_example_gives_what_it_says(example: doctest.DocTest, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example of a docstring runs on a store, and prints what stands below it."""
    monkeypatch.chdir(Path(db.url).parent)
    # doctest compares text whose characters beyond ASCII are escaped.
    monkeypatch.setattr(doctest, "ELLIPSIS_MARKER", "\\u2026")
    example.globs = {"db": db, "pdstore": pdstore}
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert result.attempted > 0 and result.failed == 0, "".join(said)


def test_every_class_has_an_example_or_is_used_in_one() -> None:
    """A reader sees each object at work."""
    names = {example.name.split(".")[0] for example in EXAMPLES if example.examples}
    assert {"open", "Database", "Result", "ImageRecord"} <= names and len(EXAMPLES) > 10


def test_everything_public_says_what_it_is() -> None:
    """Each function, method and property has a docstring, and the page its heading."""
    page = api_page()
    for member in MEMBERS:
        if callable(member) or isinstance(member, property):
            assert inspect.getdoc(member), member
    for name in ("Database", "Result", "ImageRecord", "ImageLayer", "`.sql(", "`.masks(", "`.picture`", "`.layers`"):
        assert name in page


@pytest.mark.parametrize("mark", [":func:", ":class:", ":meth:", "``", "Args:\n    "])
def test_the_page_is_markdown(mark: str) -> None:
    """Nothing of the docstrings' own marks is left."""
    assert mark not in api_page().replace("```", "")


def test_blocks_of_code_are_closed() -> None:
    """As many blocks end as begin, and every example is in one."""
    lines: list[Any] = api_page().splitlines()
    is_code = False
    for line in lines:
        is_code = is_code != line.startswith("```")
        assert is_code or not line.startswith(">>>")
    assert not is_code
