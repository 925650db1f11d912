from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.power_cuts import cuts


def test_a_power_cut_takes_nothing_that_was_reported(tmp_path: Path) -> None:
    """Whatever was not synced is lost: all that was reported as committed is there, and the same commands go on."""
    tried = list(cuts(tmp_path, 110, 1, 8))
    assert [str(cut) for cut in tried if cut.problems] == []
    assert len(tried) > 9


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_power_cut_takes_anything_that_was_reported(tmp_path: Path) -> None:
    """The same at every moment."""
    tried = list(cuts(tmp_path, 1, 0, 40))
    assert [str(cut) for cut in tried if cut.problems] == []
    assert len(tried) > 1000
