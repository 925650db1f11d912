"""What became of a run of a node, and the errors that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pdstore.errors import InputMissing, PartlyFailed, PdError

__all__ = ["Outcome", "raise_failures", "raise_waiting"]


@dataclass
class Outcome:
    """What a run did. ``images`` and ``rejected`` count images of the units this run committed.

    Attributes:
        is_begun: some units of the layer are committed now, by whatever run or worker; in a dry run always False.
    """

    node: str
    todo: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    images: int = 0
    rejected: int = 0
    is_begun: bool = False
    seconds: float = 0.0


def raise_failures(outcome: Outcome, max_error_rate: float) -> None:
    """Raises PartlyFailed or PdError if units failed, or more images than allowed became error rows."""
    if outcome.failed:
        unit, why = next(iter(outcome.failed.items()))
        found = f"{len(outcome.failed)} that failed; the first, unit {unit}: {why.rstrip('.')}"
        fix = "Mend the cause and run the same command again: only what is missing is computed"
        error = PartlyFailed if outcome.is_begun else PdError
        raise error(f"expected {len(outcome.todo)} units, found {found}", outcome.node, fix)
    if outcome.images and outcome.rejected / outcome.images > max_error_rate:
        found = f"{outcome.rejected} of {outcome.images} images left out"
        fix = (
            f"See why: pd sql \"SELECT reason, count(*) FROM errors WHERE node = '{outcome.node}' GROUP BY 1\". "
            "The same command again goes on without them; to allow more from the start: --max-error-rate"
        )
        raise PdError(
            f"expected at most {max_error_rate:.0%} of the images in errors, found {found}", outcome.node, fix
        )


def raise_waiting(outcome: Outcome, upstream: Sequence[str]) -> None:
    """Raises PartlyFailed, or InputMissing where nothing is committed, if units wait for one of ``upstream``."""
    if outcome.waiting:
        shown = ", ".join(map(str, outcome.waiting[:8])) + (", …" if len(outcome.waiting) > 8 else "")
        sources = " and ".join(dict.fromkeys(upstream))
        fix = f"Run {sources} for them first, or everything: pd run"
        error = PartlyFailed if outcome.is_begun else InputMissing
        raise error(f"expected the input of all units, found none for units {shown}", outcome.node, fix)
