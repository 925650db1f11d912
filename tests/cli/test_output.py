"""What verbs print."""

from __future__ import annotations

import json

import pytest

from cli.output import print_json


def test_a_number_that_is_not_finite_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has no NaN: readers other than Python's refuse it."""
    print_json({"a": float("nan"), "b": [1.5, float("inf")], "c": ({"d": 2},)})
    text = capsys.readouterr().out
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text) == {"a": None, "b": [1.5, None], "c": [{"d": 2}]}
