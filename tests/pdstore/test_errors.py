from __future__ import annotations

import pickle

import pytest

from pdstore import errors
from pdstore.errors import PdError, UsageError, nearest, printable

CLASSES = [getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)]


def test_a_message_has_four_parts() -> None:
    """It says where, what was expected, what was found, and what to do."""
    error = UsageError("expected a shard k/n, found 0/10", "--shard", "Shards are counted from 1.")
    assert str(error) == "--shard: expected a shard k/n, found 0/10. Shards are counted from 1."
    assert str(PdError("expected x, found y")) == "expected x, found y."


@pytest.mark.parametrize(
    ("problem", "shown"),
    [("no z!", "no z."), ("no z. ", "no z."), ("no z…", "no z…"), ("no z... .", "no z."), ("(z, …)", "(z, …).")],
)
def test_a_message_of_another_library_ends_once(problem: str, shown: str) -> None:
    """The problem may end in punctuation of its own, which is not doubled."""
    assert str(PdError(f"expected x, found {problem}", fix="Do w.")) == f"expected x, found {shown} Do w."


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_crosses_processes(kind: type[PdError]) -> None:
    """A worker's error arrives complete, with its class and its three parts."""
    error = pickle.loads(pickle.dumps(kind("a", "b", "c")))
    assert (type(error), error.problem, error.where, error.fix) == (kind, "a", "b", "c")


def test_exit_codes_are_those_of_the_manual() -> None:
    """1 is failed, 2 usage, 3 stale settings, 4 partly failed, 75 preempted."""
    codes = {kind.__name__: kind.exit_code for kind in CLASSES}
    special = {"UsageError": 2, "StaleSettings": 3, "PartlyFailed": 4, "Preempted": 75}
    assert codes == {name: special.get(name, 1) for name in codes}
    assert issubclass(UsageError, ValueError)


def test_the_nearest_name_is_suggested() -> None:
    """A typing error gets the name that was meant; anything else gets the list of names."""
    assert nearest("gruoping", ["grouping", "crf"]) == "Did you mean 'grouping'?"
    assert nearest("zzz", ["grouping", "crf"]) == "Known: crf, grouping"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat\x1b[31m red", r"cat\x1b[31m red"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\x08\x7f", r"a\rb\x08\x7f"),
        ("gpj.\u202egnp", r"gpj.\u202egnp"),
        ("\ud800", r"\ud800"),
        ("naïve 猫 🐈 \\x1b", "naïve 猫 🐈 \\x1b"),
    ],
)
def test_control_characters_are_shown_escaped(text: str, shown: str) -> None:
    """Whatever a terminal would obey is spelled out; all other text stays as it is."""
    assert printable(text) == shown and printable(shown) == shown


def test_lines_stay_unless_a_single_one_is_wanted() -> None:
    """A message may have several lines; a cell of a table may not."""
    assert printable("a\n\tb") == "a\n\tb" and printable("a\n\tb", keep="") == r"a\n\tb"
