from __future__ import annotations

import pytest

from stages.source.yaml_text import read_yaml


def test_a_text_becomes_plain_values() -> None:
    """Anchors are allowed: a value may stand in several places."""
    text = "common: &c {k: 2, names: [a, b]}\nnodes:\n  one: {<<: *c, k: 3}\n  two: *c\n"
    values = read_yaml(text)
    assert values["nodes"] == {"one": {"k": 3, "names": ["a", "b"]}, "two": {"k": 2, "names": ["a", "b"]}}
    assert read_yaml("[1, 2.5, true, null, x]") == [1, 2.5, True, None, "x"]


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LAUGHS, "its aliases .* stand for more than 100000 values"),
        ("a: &a [*a]", "nested more than 100 deep"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ("{a: " * 200 + "1" + "}" * 200, "nested more than 100 deep"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: 2001-99-99", "month must be in 1..12"),
        ("{[]: 1}", "unhashable key"),
        ("9" * 5000, "4300 digits"),
        ("a: [", "line 1, column 5"),
    ],
)
def test_whatever_is_wrong_is_one_error(text: str, problem: str) -> None:
    """Also a text of a few lines that would become billions of values, and one that holds itself."""
    with pytest.raises(ValueError, match=problem):
        read_yaml(text)


def test_of_a_line_it_is_not_said_where() -> None:
    """The line itself is in the caller's message."""
    with pytest.raises(ValueError, match="^expected the node content, but found '<stream end>'$"):
        read_yaml("a: [", is_line=True)
