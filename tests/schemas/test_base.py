from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, ValidationError

from pdstore.errors import UsageError
from schemas.base import Settings, file_setting, later_setting, operational


class Inner(Settings):
    size: int = Field(3, ge=1)


class Outer(Settings):
    k: int = Field(4, ge=2, description="clusters")
    inner: Inner = Field(default_factory=Inner)
    batch_size: int = operational(16, ge=1)
    weights: str = file_setting("")
    copy_files: bool = Field(False, alias="copy")


def test_settings_are_frozen() -> None:
    """Validated settings cannot be changed."""
    settings = Outer()
    with pytest.raises(ValidationError, match="frozen"):
        settings.k = 5  # type: ignore[misc]


def test_identity_holds_what_changes_results() -> None:
    """Operational and file settings stay out, and names are those that users write."""
    assert Outer(k=5).identity() == {"k": 5, "inner": {"size": 3}, "copy": False}
    assert Outer(batch_size=1).identity() == Outer().identity()


def test_a_later_setting_changes_the_identity_only_if_it_is_set() -> None:
    """Layers that were made before the setting existed stay current at its default, however that is written."""

    class Grown(Outer):
        merge: float = later_setting(0.0, ge=0)

    assert Grown().identity() == Grown(merge=0.0).identity() == Outer().identity()
    assert Grown(merge=0.5).identity() == Outer().identity() | {"merge": 0.5}


def test_files_are_the_file_settings_that_are_set() -> None:
    """An empty file setting names no file."""
    assert Outer().files() == {}
    assert Outer(weights="a.bin").files() == {"weights": "a.bin"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kk": 5}, "node.kk: unknown setting. Did you mean 'k'"),
        ({"zzz": 5}, "node.zzz: unknown setting. Known: batch_size, copy, inner, k, weights"),
        ({"inner": {"sise": 5}}, "node.inner.sise: unknown setting. Did you mean 'size'"),
        ({"inner": {"size": 0}}, "node.inner.size: input should be greater than or equal to 1, found 0"),
        ({"inner": 3}, r"node.inner: expected nested settings \(node.inner.KEY=VALUE\), found 3"),
        ({"k": "four"}, "node.k: input should be a valid integer.*found 'four'"),
        ({"copy_file": True}, "node.copy_file: unknown setting"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    """The error has the path, the expected and the given value, and for an unknown key the nearest name."""
    with pytest.raises(UsageError, match=message):
        Outer.parse(values, "node")


def test_all_faults_come_in_one_error() -> None:
    """A single error lists every fault and the fix."""
    with pytest.raises(UsageError) as caught:
        Outer.parse({"k": 1, "kk": 2, "inner": {"size": 0, "x": 1}}, "node", "See: pd config show node")
    text = str(caught.value)
    assert "4 settings are not valid" in text and text.count("\n  node.") == 4 and "pd config show node" in text
