from __future__ import annotations

import uuid
from pathlib import Path

from pdstore import layout
from pdstore.files import Files
from pdstore.records.announced import announce, announcement, is_announced

PLACE = ("grouping", "ab12")


def test_changes_are_announced_in_object_stores(tmp_path: Path) -> None:
    """In a local folder only if it is the copy of such a store."""
    remote, local = Files(f"memory://{uuid.uuid4().hex}"), Files(str(tmp_path))
    assert is_announced(remote, *PLACE) and not is_announced(local, *PLACE)
    assert announcement(local, *PLACE, 3, "abcd") == {}
    announce(local, *PLACE, 3, "abcd")
    assert local.names("") == []
    local.write(layout.recent_layer(*PLACE), b"{}")
    assert announcement(local, *PLACE, 3, "abcd") == announcement(remote, *PLACE, 3, "abcd") != {}


def test_units_are_listed_before_the_index_that_replaces_them() -> None:
    """So that a listing of several pages never misses both."""
    files = Files(f"memory://{uuid.uuid4().hex}")
    files.write(layout.recent_layer(*PLACE), b"{}")
    files.write(layout.recent_file(*PLACE, 7), b"")
    files.write_many(announcement(files, *PLACE, 99999, "ffff"))
    announce(files, *PLACE, 3, "abcd")
    names = [path.rsplit("/", 1)[-1] for path in files.tree(layout.recent(*PLACE))]
    assert names == ["00003.abcd.withdrawn", "99999.ffff", "index-00007.arrow", "layer.json"]
