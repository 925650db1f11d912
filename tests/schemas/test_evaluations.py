"""The settings of what scores: their defaults are the protocol's."""

from __future__ import annotations

import pytest

from pdstore.errors import UsageError
from schemas.evaluations import EvalSettings, LossesSettings, ProxiesSettings


def test_the_ledger_is_scored_as_an_evaluation_is() -> None:
    """Both name clusters on one split and score on another, and the number of processes changes no result."""
    for name in ("vote_split", "test_split"):
        assert getattr(LossesSettings(), name) == getattr(EvalSettings(), name)
    for settings in (EvalSettings, LossesSettings):
        assert settings(processes=4).identity() == settings().identity()
        assert settings(test_split="test").identity() != settings().identity()


def test_a_sample_of_proxies_has_two_segments_to_compare() -> None:
    """One segment has nothing to be clustered with."""
    with pytest.raises(UsageError, match="greater than or equal to 2"):
        ProxiesSettings.parse({"segments": 1}, "proxies")
