"""How a node is run."""

from __future__ import annotations

from dataclasses import dataclass

from stages.plan.work import WorkOptions

__all__ = ["RunOptions"]


@dataclass(frozen=True)
class RunOptions(WorkOptions):
    """How a node is run. No option changes the content of a unit.

    Attributes:
        retries: how many more times a failed unit is tried.
        max_error_rate: the run fails if a larger share of its images became error rows.
        new_layer: accept changed settings, and write a new layer next to the existing one.
        wait: wait until the units that other workers hold are committed.
        dry_run: only plan.
        poll_s: seconds between the first two checks of units that other workers hold.
    """

    retries: int = 1
    max_error_rate: float = 0.5
    new_layer: bool = False
    wait: bool = False
    dry_run: bool = False
    poll_s: float = 1.0
