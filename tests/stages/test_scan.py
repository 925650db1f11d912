from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pdstore import Store
from pdstore.errors import UsageError
from schemas.pipeline import SourceSpec
from stages.listing import Listing
from stages.scan import scan


def test_the_order_is_random_but_seeded(folder: Path) -> None:
    """The same seed lists images in the same order, another seed in another; classes are mixed."""
    source = SourceSpec(root=str(folder))
    first, again, other = scan(source, set(), 0), scan(source, set(), 0), scan(source, set(), 1)
    assert first == again != other and sorted(first) == sorted(other)
    assert all(len({wnid for _, _, wnid in first[i : i + 6]}) == 2 for i in (0, 6))


def test_a_folder_is_walked_once(
    folder: Path, classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked before the store was made is what is listed: a walk of millions of files takes hours."""
    walked = []
    monkeypatch.setattr("stages.scan.os.walk", lambda root, walk=os.walk: walked.append(root) or walk(root))
    assert Listing(classical()).images == 12
    assert walked == [folder]


@pytest.mark.parametrize("key", ["../x.jpg", "/etc/x.jpg", "cats/../../x.jpg", "a\\..\\x.jpg"])
def test_keys_stay_inside_the_folder(key: str, folder: Path, tmp_path: Path, classical: Callable[..., Store]) -> None:
    """A key of a list file that is absolute or leaves the folder is refused with its line."""
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\ncats/01.jpg\n{key}\tcats\n")
    with pytest.raises(UsageError, match=r"a key inside the image folder.*|list.txt, line 3"):
        classical(source=SourceSpec(kind="list", root=str(folder), list_file=str(listed)))


def test_a_folder_without_images_is_refused(tmp_path: Path, classical: Callable[..., Store]) -> None:
    """Missing, a file, or empty: one error, and no store is made."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, found in (
        ("nowhere", "found nothing"),
        ("file", "found a file"),
        ("empty", "expected images, found none"),
    ):
        with pytest.raises(UsageError, match=found):
            classical(source=SourceSpec(root=str(tmp_path / name)))
    assert list(tmp_path.glob("store*")) == []
