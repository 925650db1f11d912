"""How well a proxy follows a loss, on numbers made by hand."""

from __future__ import annotations

import pytest

from bench.proxies import Tried, correlation, regret, right_at_same_k


def tried(k: int, is_normalized: bool, lost: float, value: float) -> Tried:
    return Tried("naming", k, is_normalized, lost, {"seeds": value})


FOUND = [tried(4, True, 10, 0.9), tried(4, False, 12, 0.8), tried(6, True, 14, 0.7), tried(6, False, 13, 0.6)]


def test_a_proxy_that_falls_with_the_loss_follows_it() -> None:
    """Of four ranks two neighbours are exchanged: 1 − 6 · 2 ÷ 60."""
    assert correlation(FOUND, "seeds") == pytest.approx(0.8)
    assert correlation(FOUND[:3], "seeds") == pytest.approx(1)


def test_the_choice_of_a_proxy_costs_what_the_best_setting_loses_less() -> None:
    """Nothing if it likes the best one most."""
    assert regret(FOUND, "seeds") == 0
    assert regret([tried(4, True, 10, 0.1), *FOUND[1:]], "seeds") == 2


def test_pairs_of_the_same_k_are_counted() -> None:
    """At k 4 the larger proxy has the smaller loss, at k 6 the larger one; a k with one setting is no pair."""
    assert right_at_same_k([*FOUND, tried(8, True, 1, 0.1)], "seeds") == (1, 2)
