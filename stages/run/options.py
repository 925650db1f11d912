"""How a node is run."""

from __future__ import annotations

from dataclasses import dataclass

from stages.plan.work import WorkOptions

__all__ = ["RunOptions"]


@dataclass(frozen=True)
class RunOptions(WorkOptions):
    """How a node is run; none of it changes what is computed.

    Attributes:
        retries: further tries for a unit that failed.
        max_error_rate: the run fails if a larger share of its images became error rows.
        new_layer: write under changed settings beside the layer that is there.
        wait: wait for units that other workers hold, until they are committed.
        dry_run: only plan.
        poll_s: seconds between the first two looks at units that other workers hold.
    """

    retries: int = 1
    max_error_rate: float = 0.5
    new_layer: bool = False
    wait: bool = False
    dry_run: bool = False
    poll_s: float = 1.0
