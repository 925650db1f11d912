from __future__ import annotations

from stages.doctor.finding import Finding, conclusion


def test_the_conclusion_is_one_sentence() -> None:
    """It names what fails, and counts the warnings; without a failure it counts the checks."""
    good, odd = Finding("machine", "cores", "2"), Finding("machine", "memory", "1 GB", "warning", "Free some")
    bad = Finding("storage", "space", "none", "fails", "Free some")
    assert conclusion([good, good]) == "All 2 checks passed."
    assert conclusion([good, odd]) == "All 2 checks passed, with 1 warning."
    assert conclusion([good, odd, odd, bad]) == "will not work: space (none), with 2 warnings"
    assert conclusion([bad, bad]) == "will not work: space (none); space (none)"


def test_a_finding_is_a_record() -> None:
    """As JSON prints it."""
    values = Finding("machine", "cores", "2").to_dict()
    assert values == {"group": "machine", "checked": "cores", "found": "2", "verdict": "ok", "fix": ""}
