"""``pd status``: show the state of every node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.launchers.jobs import nodes_with_jobs
from cli.output import print_json, print_table, say
from cli.session import open_project
from pdstore.lease import SEEN
from pdstore.leases.remembered import remembered
from stages.plan.file_settings import missing_files
from stages.plan.states import Holder, NodeState, states

if TYPE_CHECKING:
    from cli.launchers.slurm.watching import JobState
    from stages.plan.project import Project

__all__ = ["command"]

SPARE = ("running", "failed", "stale", "error rows", "also")


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Show what is done, running, stale or failed, node by node, who works on what, and the last error of each failed
    unit. A worker is known by its heartbeats: the time for which this machine has seen none is shown beside it.

    Slurm jobs that compute nodes of the store are listed with their states.

    \b
    Examples:
      pd status
      pd status --json | jq '.nodes.grouping.state'
    """
    project = open_project(only_reads=True)
    with remembered(SEEN, project.store.files.root):
        listed = states(project)
    jobs = _jobs(project)
    for missing in missing_files(project.nodes.values()):
        say(str(missing))
    if as_json:
        values = {"store": project.store.url, "nodes": {state.node: state.to_dict() for state in listed}}
        print_json(values | ({"jobs": [_job(job) for job in jobs]} if jobs else {}))
        return
    columns = ("node", "state", "done", "units", "running", "failed", "stale", "error rows", "seconds", "layer", "also")
    print_table(columns, [_row(state) for state in listed], spare=SPARE)
    held = [(s.node, unit, *_holder(who)) for s in listed for unit, who in sorted(s.holders.items())]
    if held:
        print_table(("held", "unit", "by", "seen unchanged for"), held)
    failed = [(s.node, unit, text) for s in listed for unit, text in sorted(s.failed.items())]
    if failed:
        print_table(("failed", "unit", "last error"), failed)
    if jobs:
        rows = [(job.job.title, job.job.job, job.text, job.job.submitted, job.job.log) for job in jobs]
        print_table(("nodes", "job", "tasks", "submitted", "log"), rows)


def _jobs(project: Project) -> list[JobState]:
    if not nodes_with_jobs(project):
        return []
    # Imported here: most stores know no scheduler.
    from cli.launchers.slurm.watching import job_states

    return job_states(project)


def _job(state: JobState) -> dict[str, object]:
    job = state.job
    return {"nodes": job.nodes, "job": job.job, "tasks": state.states, "submitted": job.submitted, "log": job.log}


def _holder(holder: Holder) -> tuple[str, str]:
    name = f"{holder.host} process {holder.pid}" if holder.host else "damaged lease"
    return name, f"{holder.unchanged_s:.0f} s" + ", gone" * holder.is_expired


def _row(state: NodeState) -> tuple[object, ...]:
    others = f"{len(state.other)} older layer{'s' * (len(state.other) > 1)}" if state.other else ""
    if state.is_behind:
        others += f"; the views show {state.shown[:8]} until this one is complete"
    counts = [len(state.running) or "", len(state.failed) or "", len(state.stale) or "", state.errors or ""]
    seconds = round(state.seconds, 1) if state.done else ""
    return (state.node, state.word, len(state.done), state.units, *counts, seconds, state.fingerprint[:8], others)
