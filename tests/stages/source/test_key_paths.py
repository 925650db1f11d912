from __future__ import annotations

import pytest

from pdstore.errors import UsageError
from stages.source.key_paths import check_inside, leads_out


@pytest.mark.parametrize("key", ["a.jpg", "n01/a b.jpg", "..a/b..jpg", "a/.b", "C:\\a.jpg", "é\n.jpg"])
def test_a_path_below_the_folder_is_one(key: str) -> None:
    """Also one with odd characters: it is the name of a file."""
    assert not leads_out(key)
    check_inside([key], "list")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../a.jpg", "a/../../b.jpg", "a/..", "..", "a\0.jpg"])
def test_a_path_that_leads_out_is_refused(key: str) -> None:
    """Absolute, upwards, or with a zero: one sentence with the path and who lists it."""
    with pytest.raises(UsageError, match="^list: expected a path inside the image folder, found"):
        check_inside(["a.jpg", key], "list")
