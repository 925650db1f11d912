"""What a store's jobs are doing: for ``pd status``, and to cancel them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.launchers.jobs import Job, nodes_with_jobs, recorded_jobs
from cli.launchers.slurm.commands import Listed, cancel, list_jobs
from cli.launchers.slurm.submission import is_ours, live_job
from pdstore.errors import PdError, UsageError
from stages.plan.project import Project

__all__ = ["JobState", "cancel_jobs", "job_states"]

UNKNOWN = "unknown"
"""The state of a job that cannot be asked for: this machine has no Slurm, or it does not answer."""


@dataclass(frozen=True)
class JobState:
    """The newest job of some nodes, and how many of its tasks are in which state, such as ``{"running": 2}``."""

    job: Job
    states: dict[str, int]

    @property
    def text(self) -> str:
        return ", ".join(f"{count} {state}" if state != UNKNOWN else state for state, count in self.states.items())


def job_states(project: Project) -> list[JobState]:
    """The newest recorded job of each node, except those that Slurm no longer knows because they ended long ago.

    Slurm is asked only if the store has a record of a job.
    """
    newest = {name: jobs[-1] for name in nodes_with_jobs(project) if (jobs := recorded_jobs(project, name))}
    jobs = list({job.job: job for job in newest.values()}.values())
    if not jobs:
        return []
    try:
        listed: Mapping[str, Listed] = list_jobs()
    except PdError:
        return [JobState(job, {UNKNOWN: len(job.tasks)}) for job in jobs]
    return [
        JobState(job, dict(Counter(state.lower() for state in listed[job.job].states.values())))
        for job in jobs
        if is_ours(project, job, listed)
    ]


def cancel_jobs(project: Project, names: Sequence[str]) -> list[Job]:
    """Cancel every job that waits or runs for these nodes, and return them.

    Raises:
        UsageError: this machine has no Slurm.
        PdError: Slurm refused, or does not answer.
    """
    try:
        listed = dict(list_jobs())
    except UsageError:
        # Without Slurm there are no jobs, unless a record says so.
        if not any(recorded_jobs(project, name) for name in names):
            return []
        raise
    found: list[Job] = []
    for name in names:
        while (job := live_job(project, [name], listed)) is not None:
            found.append(job)
            del listed[job.job]
    if found:
        cancel([job.job for job in found])
    return found
