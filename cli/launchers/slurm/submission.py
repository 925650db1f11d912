"""Submitting the missing units of nodes as an array job, never twice: what Slurm is already working on is found."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cli.launchers.jobs import Job, record_job, recorded_jobs
from cli.launchers.slurm.commands import Listed, list_jobs, submit
from cli.launchers.slurm.script import log_path, slurm_script
from cli.launchers.worker import worker_command
from cli.options import Launch, Request
from pdstore import layout
from pdstore.errors import PdError
from pdstore.lease import claim
from stages.plan.project import Project

__all__ = ["Submitted", "is_ours", "live_job", "mark_of", "request_of_node", "script_of", "submit_nodes"]

MARK = "pd:"
"""How the comments of jobs begin."""

SUBMITTING_S = 180
"""How long another process that submits jobs for the same node is waited for."""


@dataclass(frozen=True)
class Submitted:
    """A job that computes nodes, and whether it was there before."""

    job: Job
    was_there: bool = False


def mark_of(project: Project, names: Sequence[str]) -> str:
    """The comment of the jobs that compute these nodes of this store under their current settings."""
    places = [f"{name}/{project[name].fingerprint}" for name in names]
    return f"{MARK}{hashlib.sha256(' '.join([project.store.url, *places]).encode()).hexdigest()[:20]}"


def request_of_node(project: Project, name: str, request: Request) -> Request:
    """The request for one node: no more tasks than units, GPUs for networks only, machines for trainings only."""
    launch, stage = request.launch, project[name].stage
    asked = replace(
        launch,
        jobs=max(1, min(launch.jobs, project.num_units(name))),
        gpus=launch.gpus if stage.uses_network else 0,
        nodes=launch.nodes if stage.is_training else 1,
    )
    return replace(request, launch=asked)


def script_of(
    project: Project, names: Sequence[str], request: Request, overrides: Sequence[str], tasks: Sequence[int] = ()
) -> str:
    """The script of the array job that computes the nodes, in the current folder."""
    # The tasks of the array are the shards; how many workers a task has is said there, too.
    command, mark = worker_command(project.store, names, request, overrides), mark_of(project, names)
    launch = replace(request.launch, slurm_args=_own_arguments(request.launch, names))
    return slurm_script(command, "+".join(names), launch, Path.cwd(), tasks=tasks, mark=mark)


def submit_nodes(
    project: Project,
    names: Sequence[str],
    request: Request,
    overrides: Sequence[str],
    *,
    tasks: Sequence[int] = (),
    dependency: str = "",
    is_shared: bool = False,
) -> Submitted:
    """Submit an array job for the nodes, and record it in the store.

    Args:
        tasks: the shards to compute; all of them if there are none here.
        dependency: what Slurm waits for before it starts a task, as ``sbatch`` takes it.
        is_shared: submit even if a job for the nodes is already there, to have more workers.

    Raises:
        UsageError: this machine has no Slurm.
        PdError: Slurm refused; or another process has been submitting for minutes.
    """
    folder, name = Path.cwd(), "+".join(names)
    shards = tuple(tasks) or tuple(range(1, request.launch.jobs + 1))
    options = [f"--dependency={dependency}", "--kill-on-invalid-dep=yes"] if dependency else []
    # Between the look at what Slurm has and the submission nobody else may submit.
    with ExitStack() as claims:
        _claim(project, names, claims)
        if not is_shared:
            found = live_job(project, names, list_jobs())
            if found is not None:
                return Submitted(found, was_there=True)
        script = script_of(project, names, request, overrides, shards)
        number = submit(script, folder / f"pd-{name}.sbatch", *options)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        job = Job(number, tuple(names), shards, request.launch.jobs, log_path(name, folder, number), now)
        record_job(project, job)
    return Submitted(job)


def live_job(project: Project, names: Sequence[str], listed: Mapping[str, Listed]) -> Job | None:
    """The newest job that still waits or runs for one of the nodes, by the store's records and by Slurm's comments."""
    for name in names:
        for job in reversed(recorded_jobs(project, name)):
            if is_ours(project, job, listed) and listed[job.job].is_live:
                return job
    # A process that was killed between the submission and the record left a job that only Slurm knows.
    mark = mark_of(project, names)
    for number in sorted(listed, key=int, reverse=True):
        found = listed[number]
        if found.mark == mark and found.is_live:
            log = log_path(found.name.removeprefix("pd-"), Path(found.folder), number)
            job = Job(number, tuple(names), tuple(sorted(found.states)), 0, log)
            record_job(project, job)
            return job
    return None


def is_ours(project: Project, job: Job, listed: Mapping[str, Listed]) -> bool:
    """True if Slurm lists the job, and it is not another one that got the same number."""
    found = listed.get(job.job)
    if found is None or found.name != f"pd-{'+'.join(job.nodes)}":
        return False
    # A job whose comment somebody has chosen is known by its name.
    return found.mark == mark_of(project, job.nodes) or not found.mark.startswith(MARK)


def _own_arguments(launch: Launch, names: Sequence[str]) -> tuple[str, ...]:
    """The arguments for every job, and those for the jobs of one of these nodes."""
    found = []
    for argument in launch.slurm_args:
        scope, colon, rest = argument.partition(":")
        if argument.startswith("-") or not colon:
            found.append(argument)
        elif scope in names:
            found.append(rest)
    return tuple(found)


def _claim(project: Project, names: Sequence[str], claims: ExitStack) -> None:
    for name in sorted(names):
        fingerprint, deadline = project[name].fingerprint, time.monotonic() + SUBMITTING_S
        while True:
            held = claim(project.store.files, name, layout.submitter(fingerprint), 0)
            if held is not None:
                claims.enter_context(held)
                break
            if time.monotonic() > deadline:
                fix = "Run the same command again; to see its jobs: pd status"
                raise PdError("another process has been submitting jobs for it for minutes", name, fix)
            time.sleep(1)
