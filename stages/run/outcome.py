"""The outcome of a run of a node, and the errors that report a bad one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pdstore.errors import InputMissing, PartlyFailed, PdError
from stages.unit import Coverage, LeftOut

__all__ = ["Outcome", "raise_failures", "raise_waiting"]


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        todo: the units it set out to compute. committed: those it committed. failed: unit -> error.
        held: units that other workers were computing. waiting: units whose input is not committed.
        images, rejected: how many images its committed units have, and how many of these were left out.
        left_out: what else these units left out: objects, parts, … -> how many.
        coverage, num_used: what files of annotations have in common with the store; how many annotations became parts.
        is_begun: the layer now has committed units, from any run or worker; always False in a dry run.
    """

    node: str
    todo: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    images: int = 0
    rejected: int = 0
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    coverage: Coverage | None = None
    num_used: int = 0
    is_begun: bool = False
    seconds: float = 0.0


def raise_failures(outcome: Outcome, max_error_rate: float) -> None:
    """Raises PartlyFailed or PdError if units failed, or more images than allowed became error rows."""
    if outcome.failed:
        unit, why = next(iter(outcome.failed.items()))
        failed = f"{len(outcome.failed)} of {len(outcome.todo)} units failed"
        fix = "Fix the cause and run the same command again: only what is missing is computed"
        error = PartlyFailed if outcome.is_begun else PdError
        raise error(f"{failed}; the first, unit {unit}: {why.rstrip('.')}", outcome.node, fix)
    coverage = outcome.coverage
    if coverage and coverage.strays > max_error_rate * coverage.annotations:
        problem = (
            f"{coverage.strays} of {coverage.annotations} annotations belong to no image that their file lists; "
            f"at most {max_error_rate:.0%} may"
        )
        fix = (
            f"See them: pd sql \"SELECT subject, detail FROM errors WHERE node = '{outcome.node}' AND image_id = -1\". "
            "The same command again continues without them; to allow more from the start: --max-error-rate"
        )
        raise PdError(problem, outcome.node, fix)
    if outcome.images and outcome.rejected / outcome.images > max_error_rate:
        problem = (
            f"{outcome.rejected} of {outcome.images} images were left out and are in errors; "
            f"at most {max_error_rate:.0%} may be"
        )
        fix = (
            f"See why: pd sql \"SELECT reason, count(*) FROM errors WHERE node = '{outcome.node}' GROUP BY 1\". "
            "The same command again continues without them; to allow more from the start: --max-error-rate"
        )
        raise PdError(problem, outcome.node, fix)


def raise_waiting(outcome: Outcome, upstream: Sequence[str]) -> None:
    """Raises PartlyFailed, or InputMissing if nothing is committed, if units wait for one of ``upstream``."""
    if outcome.waiting:
        shown = ", ".join(map(str, outcome.waiting[:8])) + (", …" if len(outcome.waiting) > 8 else "")
        sources = " and ".join(dict.fromkeys(upstream))
        fix = f"Run {sources} for them first, or everything: pd run"
        error = PartlyFailed if outcome.is_begun else InputMissing
        raise error(f"the input of these units is not committed yet: {shown}", outcome.node, fix)
