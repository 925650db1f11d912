from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pdstore.files import Files
from stages.track.wandb_id import recorded_group, recorded_id, stored_id


def test_an_id_is_recorded_once(tmp_path: Path) -> None:
    """Whoever asks again gets the id of the first time; another folder has another id."""
    first = recorded_id(tmp_path / "wandb_id")
    assert first == recorded_id(tmp_path / "wandb_id") and re.fullmatch("[0-9a-f]{12}", first)
    assert recorded_id(tmp_path / "other") != first


def test_workers_that_ask_at_once_agree(tmp_path: Path) -> None:
    """The id of a layer is created only once in its store, on disk and elsewhere."""
    for url in (str(tmp_path), f"memory://{uuid.uuid4().hex}"):
        files = Files(url)
        with ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(lambda _: stored_id(files, "crf", "f00d"), range(16)))  # noqa: B023
        assert len(ids) == 1
        assert stored_id(files, "crf", "beef") not in ids


def test_a_group_is_named_after_the_store(tmp_path: Path) -> None:
    """Two stores whose folders have the same name are two groups, and a group stays when the store is moved."""
    one, two = Files(str(tmp_path / "a" / "my store")), Files(str(tmp_path / "b" / "my store"))
    group = recorded_group(one)
    assert group.startswith("my-store-") and group == recorded_group(one) != recorded_group(two)
    (tmp_path / "a" / "my store").rename(tmp_path / "moved")
    assert recorded_group(Files(str(tmp_path / "moved"))) == group
