from __future__ import annotations

import importlib.util

import pytest

from stages.exchange.imports import IMPORTS


@pytest.mark.parametrize("name", IMPORTS)
def test_a_format_names_code_that_exists(name: str) -> None:
    """Its module is there, and the help text has a line for it."""
    assert importlib.util.find_spec(IMPORTS[name].entry) is not None and IMPORTS[name].doc
