from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from tests.damage.trial import Verdict, trials


def _bad(folder: Path, count: int, seed: int) -> tuple[Counter[str], list[Verdict]]:
    logging.disable(logging.WARNING)
    try:
        verdicts = list(trials(folder, count, seed))
    finally:
        logging.disable(logging.NOTSET)
    return Counter(v.word for v in verdicts), [v for v in verdicts if v.word not in ("named", "harmless")]


@pytest.mark.timeout(1200)
def test_no_damage_is_silent(tmp_path: Path) -> None:
    """Whatever happens to a file: every reader gives the same result or names it, and verify knows of it."""
    words, bad = _bad(tmp_path, 8, 7)
    assert bad == [] and words["named"] > 2


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_damage_of_a_thousand_is_silent(tmp_path: Path) -> None:
    """The same for 1,000 mutations of every kind of file."""
    words, bad = _bad(tmp_path, 1000, 0)
    assert bad == [] and sum(words.values()) == 1000
