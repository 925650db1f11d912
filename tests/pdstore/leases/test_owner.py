from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pdstore.leases import owner
from pdstore.leases.owner import Owner, machine, this_process


@pytest.fixture
def ended() -> Owner:
    """A process that has ended, as it was while it ran."""
    program = "from pdstore.leases.owner import this_process as p; print(p().host, p().pid, p().machine, p().started)"
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    host, pid, *rest = made.stdout.split()
    return Owner(host, int(pid), *rest)


def test_this_process_is_alive() -> None:
    """It is, and its number and its start tell it apart from the one that has the number next."""
    us = this_process()
    assert us.pid == os.getpid() and us.is_alive() and not us.is_gone()
    other = replace(us, started=f"{us.started}0")
    assert other.is_gone() and not other.is_alive()


def test_a_process_that_ended_is_gone(ended: Owner) -> None:
    """It is known by its number, as it was of this machine."""
    assert ended.is_gone() and not ended.is_alive() and ended.machine == machine()


def test_a_process_that_nobody_has_waited_for_is_gone() -> None:
    """It keeps its number until then, and does nothing any more."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    status = owner._status(process.pid)
    assert status is not None
    theirs = replace(this_process(), pid=process.pid, started=status[1])
    assert theirs.is_alive()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert theirs.is_gone()
    process.communicate()
    assert theirs.is_gone()


@pytest.mark.parametrize("change", [{"machine": "another"}, {"machine": ""}, {"host": "elsewhere"}])
def test_nothing_is_known_of_another_machine(ended: Owner, change: dict[str, str]) -> None:
    """Neither that a process runs nor that it has ended, whatever its number means here."""
    for process in (this_process(), ended):
        other = replace(process, **change)
        assert not other.is_alive() and not other.is_gone()


def test_a_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it may not be signalled, it exists."""

    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert this_process().is_alive()


def test_the_processes_of_another_namespace_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that sees /proc of its host reads other numbers there than its own; then no machine is named."""
    (tmp_path / "self").symlink_to(str(os.getpid() + 1))
    monkeypatch.setattr(owner, "PROC", tmp_path)
    assert machine() == "" and not this_process().is_alive() and not this_process().is_gone()


def test_the_clock_goes_on() -> None:
    """It never goes back, whatever the time of day is set to."""
    shown = [owner.clock() for _ in range(100)]
    assert shown == sorted(shown)


def test_without_proc_the_number_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: Owner) -> None:
    """Elsewhere than on Linux a machine is its hardware, and a process its number."""
    monkeypatch.setattr(owner, "PROC", tmp_path / "proc")
    us = this_process()
    assert us.machine.startswith(f"{sys.platform}/") and us.started == "" and us.is_alive()
    assert replace(us, pid=ended.pid).is_gone()
