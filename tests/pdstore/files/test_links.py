"""Naming a file only if nobody has the name, where there are hard links and where there are none."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from pdstore.errors import StorageFailure
from pdstore.files import links
from tests.faults.refused_calls import can_refuse, refuse
from tests.forks import in_process

REFUSING = pytest.mark.skipif(not can_refuse(), reason="needs Linux on x86-64 or ARM64: calls are refused by seccomp")
NO_LINKS, NO_RENAMES = {"link": errno.EPERM}, {"rename without replacing": errno.EINVAL}


def ways(folder: str, refused: dict[str, int]) -> tuple[str, ...]:
    refuse(refused)
    return links.ways_to_create(folder)


def race(folder: str, refused: dict[str, int]) -> list[str]:
    """Eight threads create one file; the contents of those that won."""
    refuse(refused)
    barrier, won = threading.Barrier(8), list[str]()

    def create(number: int) -> None:
        barrier.wait()
        if links.create_file(f"{folder}/race", str(number).encode()):
            won.append(str(number))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


@pytest.mark.parametrize("refused", [{}, pytest.param(NO_LINKS, marks=REFUSING)], ids=["links", "no links"])
def test_one_of_many_creators_wins(tmp_path: Path, refused: dict[str, int]) -> None:
    """Without hard links as well: one creates the file, its content is there, and nothing else is left."""
    [winner] = in_process(race, str(tmp_path), refused)
    assert (tmp_path / "race").read_text() == winner and len(list(tmp_path.iterdir())) == 1


@REFUSING
def test_the_probe_finds_what_the_file_system_has(tmp_path: Path) -> None:
    """Hard links, renames that replace nothing, both or neither; nothing is left of the probe."""
    assert in_process(ways, str(tmp_path), {}) == (links.LINK, links.RENAME)
    assert in_process(ways, str(tmp_path), NO_LINKS) == (links.RENAME,)
    assert in_process(ways, str(tmp_path), NO_RENAMES) == (links.LINK,)
    assert in_process(ways, str(tmp_path), NO_LINKS | NO_RENAMES) == ()
    assert list(tmp_path.iterdir()) == []


@REFUSING
def test_without_either_way_nothing_is_created(tmp_path: Path) -> None:
    """The error says what the file system lacks; no file is left, and none is taken for a winner."""
    with pytest.raises(StorageFailure, match="neither hard links nor renames"):
        in_process(create_alone, str(tmp_path), NO_LINKS | NO_RENAMES)
    assert list(tmp_path.iterdir()) == []


def create_alone(folder: str, refused: dict[str, int]) -> bool:
    refuse(refused)
    return links.create_file(f"{folder}/a", b"1")


def test_another_refusal_is_passed_on(tmp_path: Path) -> None:
    """A folder that is not there is no lack of links."""
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(FileNotFoundError):
        links.name_new(str(tmp_path / "a"), str(tmp_path / "no" / "b"))


def test_a_second_name_is_a_link_or_a_copy(tmp_path: Path) -> None:
    """Both hold the same; it is a copy only where there are no links."""
    (tmp_path / "a").write_bytes(b"1")
    links.link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert os.path.samefile(tmp_path / "a", tmp_path / "b")
    if can_refuse():
        in_process(copy_without_links, str(tmp_path))
        assert (tmp_path / "c").read_bytes() == b"1" and not os.path.samefile(tmp_path / "a", tmp_path / "c")


def copy_without_links(folder: str) -> None:
    refuse(NO_LINKS)
    links.link_or_copy(f"{folder}/a", f"{folder}/c")
