from __future__ import annotations

from pathlib import Path

import pytest

from pdstore.leases import remembered as module
from pdstore.leases.remembered import remembered
from pdstore.leases.sightings import Sightings

STORE = "/data/store"
LEASE = f"{STORE}#leases/crf/f00d/00005"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which this user's programs keep what they can do without."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def unchanged(now: float, store: str = STORE, lease: str = LEASE) -> float:
    """For how long a process that begins at ``now`` knows that the lease has not changed."""
    seen = Sightings(lambda: now)
    with remembered(seen, store):
        return seen.note(lease, "mark", now)[1]


def test_a_command_knows_what_the_one_before_saw() -> None:
    """The time counts from the first of them, for each store apart."""
    assert unchanged(100.0) == 0.0
    assert unchanged(150.0) == 50.0
    assert unchanged(230.0) == 130.0
    assert unchanged(230.0, "/data/other", LEASE.replace("store", "other")) == 0.0


def test_what_was_released_is_not_kept(cache: Path) -> None:
    """The file does not grow."""
    unchanged(100.0)
    seen = Sightings(lambda: 110.0)
    with remembered(seen, STORE):
        seen.keep(f"{STORE}#leases/crf/f00d/", set())
    assert unchanged(120.0) == 0.0


def test_it_is_written_also_if_the_command_ends_with_an_error() -> None:
    """Such as that of a layer that somebody still writes."""
    seen = Sightings(lambda: 100.0)

    def refuse() -> None:
        with remembered(seen, STORE):
            seen.note(LEASE, "mark", 100.0)
            raise KeyError

    with pytest.raises(KeyError):
        refuse()
    assert unchanged(150.0) == 50.0


def test_after_a_start_of_the_machine_everything_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock began anew; so it is in another container. A later time than now is not believed either."""
    assert unchanged(100.0) == 0.0
    with monkeypatch.context() as patch:
        patch.setattr(module, "machine", lambda: "another boot")
        assert unchanged(150.0) == 0.0
    assert unchanged(200.0) == 0.0
    assert unchanged(20.0) == 0.0


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"machine": 3}', b'{"machine": "M", "seen": {"a": [1]}}'])
def test_a_damaged_file_is_no_file(cache: Path, data: bytes) -> None:
    """It is replaced."""
    unchanged(100.0)
    (path,) = (cache / "pdstore" / "leases").iterdir()
    path.write_bytes(data.replace(b'"M"', b'"' + module.machine().encode() + b'"'))
    assert unchanged(150.0) == 0.0
    assert unchanged(200.0) == 50.0


def test_a_folder_that_cannot_be_written_ends_nothing(cache: Path) -> None:
    """Then every command sees for the first time."""
    (cache / "pdstore").write_bytes(b"a file in its place")
    assert unchanged(100.0) == 0.0
    assert unchanged(150.0) == 0.0
