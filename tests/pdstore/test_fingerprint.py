from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import Identity
from pdstore.fingerprint import canonical, difference, digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
BASE = Identity("grouping", 1, {"k": 4, "deep": {"a": 1}}, {"w.safetensors": "aa"}, {"objects": "bb"})


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_the_order_of_keys_does_not_matter(values: dict[str, object]) -> None:
    """Equal settings have the same fingerprint, in whatever order they were written."""
    turned = dict(reversed(list(values.items())))
    assert Identity("s", 1, values).fingerprint == Identity("s", 1, turned).fingerprint
    assert canonical(values) == canonical(turned)


@pytest.mark.parametrize(
    "other",
    [
        Identity("crf", 1, BASE.settings, BASE.weights, BASE.upstream),
        Identity("grouping", 2, BASE.settings, BASE.weights, BASE.upstream),
        Identity("grouping", 1, {"k": 5, "deep": {"a": 1}}, BASE.weights, BASE.upstream),
        Identity("grouping", 1, BASE.settings, {"w.safetensors": "ab"}, BASE.upstream),
        Identity("grouping", 1, BASE.settings, BASE.weights, {"objects": "bc"}),
    ],
)
def test_whatever_changes_results_changes_the_fingerprint(other: Identity) -> None:
    """Stage, version, settings, weights and upstream all count, and ``difference`` names each."""
    assert other.fingerprint != BASE.fingerprint
    assert len(difference(BASE, other)) == 1


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """It depends on no hash seed, and this exact value keeps a store current under a newer program."""
    program = "from pdstore import Identity; print(Identity('grouping', 1, {'k': 4}).fingerprint)"
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert runs == ["395c4a7fbde0e09b"] * 2


def test_an_identity_survives_its_record() -> None:
    """``from_dict`` undoes ``to_dict``."""
    assert Identity.from_dict(BASE.to_dict()) == BASE


def test_a_difference_reads_like_settings() -> None:
    """One line per change; nested keys have dots, and added or removed ones read "not set"."""
    new = Identity("grouping", 1, {"k": 5, "seed": 1, "deep": {"a": 2}}, {}, {"objects": "cc"})
    assert difference(BASE, new) == [
        "deep.a: 1 -> 2",
        "k: 4 -> 5",
        "seed: not set -> 1",
        "upstream objects: bb -> cc",
        "weights: not set -> {}",
        "weights w.safetensors: aa -> not set",
    ]
    assert difference(BASE, BASE) == []


def test_a_value_that_json_cannot_hold_is_refused() -> None:
    """NaN is refused, because it would never equal itself."""
    with pytest.raises(ValueError, match="JSON"):
        digest({"x": float("nan")})
