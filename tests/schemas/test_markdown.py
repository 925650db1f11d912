"""The pages that are printed from the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pdstore import errors
from pdstore.errors import PdError
from pdstore.sql.mask_functions import FUNCTIONS
from schemas.markdown import error_classes
from schemas.tables import TABLES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["tables", "errors"])
def test_the_page_is_what_the_code_prints(page: str) -> None:
    """docs/PAGE.md equals the output of ``python -m schemas PAGE``; if it does not, write that output to it."""
    command = [sys.executable, "-m", "schemas", page]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (ROOT / "docs" / f"{page}.md").read_text() == printed.stdout


def test_every_column_of_every_table_is_on_the_page() -> None:
    """No column is missing from the section of its table."""
    text = (ROOT / "docs" / "tables.md").read_text()
    for table in TABLES.values():
        section = text.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        assert all(f"`{column.name}`" in section for column in table.columns)


def test_every_function_of_masks_is_on_the_page() -> None:
    """With its arguments, in the order in which SQL takes them."""
    section = (ROOT / "docs" / "tables.md").read_text().split("# Functions of masks")[1]
    assert len(FUNCTIONS) >= 4 and all(f"| `{name}(" in section for name in FUNCTIONS)
    assert "`mask_iou(first, second, height, width)`" in section


def test_every_error_class_is_on_the_page() -> None:
    """Each public class of ``pdstore.errors`` has a row with its exit code, what happened and what to do."""
    rows = [line.split(" | ") for line in (ROOT / "docs" / "errors.md").read_text().splitlines() if "| `" in line]
    public = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert {kind.__name__ for kind in error_classes()} == public
    assert [row[0].split("`")[1] for row in rows] == [kind.__name__ for kind in error_classes()]
    assert [int(row[2]) for row in rows] == [kind.exit_code for kind in error_classes()]
    assert all(len(row) == 5 and len(row[3]) > 20 and len(row[4]) > 20 for row in rows)


def test_errors_of_other_packages_are_not_on_the_page() -> None:
    """The page does not depend on which stages happen to be loaded."""

    class OtherError(PdError):
        """An error of another module."""

    assert OtherError in PdError.__subclasses__()
    assert OtherError not in error_classes()
