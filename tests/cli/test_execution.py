"""Running a node from the command line: what is printed at its end, and what a signal does."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cli.execution import interruptible
from pdstore import Store
from pdstore.errors import Preempted
from stages.plan.project import Project
from tests.cli.conftest import Pd, committed, draw


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_a_signal_sets_the_exit_code(number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The work may ask whether to stop; when it has stopped, the error says how to continue."""
    handler = signal.getsignal(number)

    def work() -> None:
        with interruptible() as stop:
            assert not stop()
            os.kill(os.getpid(), number)
            assert stop() and stop.signal == number
            raise Preempted("stopped at step 84", "distill-train")

    with pytest.raises(Preempted) as caught:
        work()
    assert caught.value.exit_code == code
    assert str(caught.value) == "distill-train: stopped at step 84. Run the same command again to continue."
    assert signal.getsignal(number) == handler
    assert f"{number.name}: stopping" in capsys.readouterr().err


def test_a_remedy_of_its_own_is_kept() -> None:
    """An error that already says what to do keeps its text."""
    with pytest.raises(Preempted, match="Start again with fewer workers"), interruptible():
        raise Preempted("stopped", "crf", "Start again with fewer workers")


def test_a_dry_run_cuts_a_long_list(pd: Pd, photos: Path, pipeline_file: Path, tmp_path: Path) -> None:
    """At most twelve units are listed, but the number counts all of them."""
    for number in range(6, 26):
        draw(photos / "cat" / f"{number}.png", number)
    store = tmp_path / "many"
    assert pd("init", store, "--images", photos, "--preset", pipeline_file).code == 0
    result = pd("--store", store, "stage", "run", "ingest", "--dry-run")
    listed = ", ".join(map(str, range(12)))
    assert (result.code, result.err) == (0, f"ingest: 13 blocks would run: {listed}, …\n")


def test_a_dry_run_of_a_finished_node_says_so(pd: Pd, store: Path) -> None:
    """Nothing is listed when nothing is missing; a barrier counts its own units."""
    assert pd("run", "--until", "candidates").code == 0
    assert pd("stage", "run", "crf", "--dry-run").err == "crf: nothing to run\n"
    assert pd("stage", "run", "ranking", "--dry-run").err == "ranking: 1 bucket would run: 0\n"


def test_units_of_other_workers_are_counted(pd: Pd, store: Path) -> None:
    """Without --wait a run leaves the units that others hold, and says how many there are."""
    layer = Project.open(Store(str(store))).layer("ingest")
    claims = [layer.claim(unit) for unit in (0, 1, 2)]
    assert None not in claims
    result = pd("stage", "run", "ingest")
    assert result.code == 0 and "ingest: no unit is free; 3 blocks held by other workers" in result.err
    assert layer.units() == []


def test_a_changed_setting_is_recorded_before_the_run(pd: Pd, store: Path) -> None:
    """The setting of a node that is not run now is recorded too; a dry run records nothing."""
    before = committed(store)
    assert pd("run", "ingest", "grouping.k=3", "--dry-run").code == 0
    assert committed(store) == before
    assert pd("run", "ingest", "grouping.k=3").code == 0
    assert Project.open(Store(str(store)))["grouping"].settings.model_dump()["k"] == 3
