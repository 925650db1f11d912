"""What one check found, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["GROUPS", "Finding", "Verdict", "conclusion", "gigabytes"]

Verdict = Literal["ok", "warning", "fails"]
GROUPS = ("programs", "machine", "storage", "images", "networks", "rehearsal")
"""The order of the report."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        group: what kind of thing was checked, such as ``machine``; findings of a group follow each other.
        checked: what was checked. found: what was found.
        verdict: ``fails`` if something will not work, ``warning`` if it may not.
        fix: what to do; empty if it is ok.
    """

    group: str
    checked: str
    found: str
    verdict: Verdict = "ok"
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def conclusion(findings: Sequence[Finding]) -> str:
    """One sentence that says what will not work, or that all that was checked will."""
    failed = [f"{finding.checked} ({finding.found})" for finding in findings if finding.verdict == "fails"]
    warnings = sum(finding.verdict == "warning" for finding in findings)
    rest = f", with {warnings} warning{'s' * (warnings != 1)}" if warnings else ""
    if failed:
        return f"will not work: {'; '.join(failed)}{rest}"
    return f"All {len(findings)} checks passed{rest}."


def gigabytes(size: float) -> str:
    """Bytes, as a person reads them."""
    return f"{size / 1e9:.3g} GB"
