from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pdstore.errors import UsageError
from stages.plan.overrides import merge_overrides, parse_override, place

KEYS = st.text("abc", min_size=1, max_size=2)


def test_an_override_is_read_as_yaml() -> None:
    """``node.setting=value``: numbers, lists and plain text; further dots belong to the setting."""
    assert parse_override("grouping.k=5") == ("grouping", "k", 5)
    assert parse_override("a.freeze=[x, y]") == ("a", "freeze", ["x", "y"])
    assert parse_override("detic-human.mode=human-only") == ("detic-human", "mode", "human-only")
    assert parse_override("segmenter.augment.size_px=64") == ("segmenter", "augment.size_px", 64)


@pytest.mark.parametrize("text", ["grouping", "grouping=5", "grouping.k", ".k=5", "grouping.=5", ""])
def test_a_text_that_is_no_override_is_refused(text: str) -> None:
    """Another form is an error that shows the right one."""
    with pytest.raises(UsageError, match=r"expected node.setting=value, found .*For example: grouping.k=5"):
        parse_override(text)


@pytest.mark.parametrize("value", ["[1", "{a", "2020-13-45", "a: b: c", "@"])
def test_a_value_that_is_no_yaml_is_refused(value: str) -> None:
    """One line that says what YAML expected there."""
    with pytest.raises(UsageError) as caught:
        parse_override(f"grouping.k={value}")
    text = str(caught.value)
    assert text.startswith(f"grouping.k={value}: the value {value!r} is not valid YAML (") and "\n" not in text


@given(
    st.recursive(
        st.integers() | st.booleans() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)
    )
)
def test_any_value_can_be_given(value: Any) -> None:
    """What YAML writes in one line is read again as the same value."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
    assert parse_override(f"node.setting={text}") == ("node", "setting", value)


def test_later_overrides_win() -> None:
    """They go over those that are recorded, setting by setting, and leave the recorded ones as they are."""
    recorded = {"grouping": {"k": 3, "stride": 2}, "crf": {"iterations": 1}}
    merged = merge_overrides(["grouping.k=4", "grouping.k=5", "ranking.k=8"], recorded)
    assert merged == {"grouping": {"k": 5, "stride": 2}, "crf": {"iterations": 1}, "ranking": {"k": 8}}
    assert recorded == {"grouping": {"k": 3, "stride": 2}, "crf": {"iterations": 1}}
    assert merge_overrides([]) == {}


@given(st.lists(st.tuples(st.lists(KEYS, min_size=1, max_size=3), st.integers()), max_size=6))
def test_a_placed_value_is_found_at_its_path(entries: list[tuple[list[str], int]]) -> None:
    """Whatever was there before, also a plain value in the middle of the path."""
    values: dict[str, Any] = {}
    for path, value in entries:
        place(values, path, value)
        inner: Any = values
        for key in path:
            inner = inner[key]
        assert inner == value


def test_placing_changes_no_settings_of_the_file() -> None:
    """The nested settings are copied, as the pipeline's file keeps its own; their other values stay."""
    nested = {"size_px": 96, "flip": True}
    values: dict[str, Any] = {"augment": nested}
    place(values, ["augment", "size_px"], 64)
    assert values == {"augment": {"size_px": 64, "flip": True}} and nested["size_px"] == 96
