"""The door to the data sets for PyTorch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pdstore.torch as door

ROOT = Path(__file__).parents[2]


def test_what_is_offered_is_there() -> None:
    """Every name leads to an object with a docstring; another name is an AttributeError."""
    assert dir(door) == sorted(door.__all__)
    for name in door.__all__:
        assert getattr(door, name).__name__ == name and getattr(door, name).__doc__
    with pytest.raises(AttributeError, match="nothing"):
        door.nothing  # noqa: B018


def test_types_are_those_of_the_door() -> None:
    """The file from which editors and mypy read the types names just what the module offers."""
    stub = ast.parse(Path(door.__file__).with_suffix(".pyi").read_text())
    named = {alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == {name: getattr(door, name).__module__ for name in door.__all__}


def test_the_door_alone_loads_no_torch() -> None:
    """Importing the module loads nothing; only taking something from it does."""
    program = "import sys, pdstore.torch; print(*[m for m in ('torch', 'stages', 'schemas') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
