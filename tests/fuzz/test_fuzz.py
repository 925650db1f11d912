from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.campaign import FINE, campaign
from tests.fuzz.doors import DOORS


@pytest.mark.timeout(600)
def test_whatever_comes_in_is_read_or_refused(tmp_path: Path) -> None:
    """A few mutated inputs at every door: none ends in an error that is not ours, hangs, or takes the memory."""
    outcomes = list(campaign(tmp_path, 200, 0))
    assert [outcome for outcome in outcomes if outcome.word not in FINE] == []
    assert {outcome.door for outcome in outcomes} == DOORS.keys()
    assert min(Counter(outcome.word for outcome in outcomes)[word] for word in FINE) > 20


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_twenty_thousand_inputs_are_read_or_refused(tmp_path: Path) -> None:
    """The same for 20,000 inputs."""
    assert [outcome for outcome in campaign(tmp_path, 20_000, 1) if outcome.word not in FINE] == []
