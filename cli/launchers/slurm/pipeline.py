"""A pipeline as jobs of Slurm: each waits for those that compute its input, and all of them are followed to their end.

Nothing depends on the process that follows: Slurm starts every job by itself. A process that is started again finds
what Slurm is working on, submits what is missing, and follows on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cli.launchers.jobs import Job
from cli.launchers.slurm.commands import ENDED_STATES, Listed, list_jobs
from cli.launchers.slurm.script import ENDED
from cli.launchers.slurm.submission import request_of_node, submit_nodes
from cli.options import Request
from cli.output import say
from pdstore.errors import PartlyFailed, PdError, Preempted
from stages.plan.committed import Committed
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.plan.settings import check_settings
from stages.plan.work import Snapshot, plan_work
from stages.run.preflight import checked_work
from stages.run.signals import StopRequest

__all__ = ["dependency", "failures", "follow", "run_pipeline", "submit_pipeline"]

POLL_S, LONGEST_POLL_S = 1.0, 15.0
PATIENCE = 40
"""So many questions in a row may Slurm leave without an answer before the process that follows gives up."""


def run_pipeline(
    project: Project, passes: Sequence[Sequence[str]], request: Request, overrides: Sequence[str], stop: StopRequest
) -> None:
    """Submit a job for every pass that has missing units, and wait until all have ended.

    Args:
        passes: nodes that are computed together, each pass after those that it reads.

    Raises:
        PdError, PartlyFailed: a job failed. The message names the job, the task and its log.
        Preempted: a signal stopped this process. The jobs go on.
    """
    jobs = submit_pipeline(project, passes, request, overrides)
    follow(jobs, stop)
    failed = failures(project, jobs)
    for error in failed[1:]:
        say(f"error: {error}")
    if failed:
        raise failed[0]


def submit_pipeline(
    project: Project, passes: Sequence[Sequence[str]], request: Request, overrides: Sequence[str]
) -> list[Job]:
    """Submit what is missing, except what Slurm is already working on, and return the jobs that are to be followed."""
    jobs: dict[str, Job] = {}
    for names in passes:
        todo = _todo(project, names, request, set(jobs))
        if not todo:
            say(f"{' + '.join(names)}: already done")
            continue
        asked = request_of_node(project, names[0], request)
        shards = asked.launch.jobs
        tasks = sorted({unit % shards + 1 for unit in todo})
        after = dependency(project, names, shards, tasks, jobs)
        submitted = submit_nodes(project, names, asked, overrides, tasks=tasks, dependency=after)
        for name in names:
            jobs[name] = submitted.job
        state = "is already there" if submitted.was_there else f"submitted, {len(tasks)} tasks"
        waits = f", after {after}" if after and not submitted.was_there else ""
        say(f"{' + '.join(names)}: job {submitted.job.job} {state}{waits}")
    return list({job.job: job for job in jobs.values()}.values())


def dependency(
    project: Project, names: Sequence[str], shards: int, tasks: Sequence[int], jobs: Mapping[str, Job]
) -> str:
    """What Slurm has to wait for before it starts the nodes' tasks, as ``sbatch --dependency`` takes it.

    A task that reads the blocks of one shard waits only for the task that computes this shard. Every other task waits
    for the whole job.
    """
    found: dict[str, bool] = {}
    for source in dict.fromkeys(source for name in names for source in project[name].upstream()):
        if source in jobs and source not in names:
            job = jobs[source]
            by_block = all(project[name].stage.unit == "block" for name in [*names, source])
            fits = by_block and job.shards == shards and set(tasks) <= set(job.tasks)
            found[job.job] = found.get(job.job, True) and fits
    return ",".join(f"{'aftercorr' if fits else 'afterok'}:{job}" for job, fits in found.items())


def follow(jobs: Sequence[Job], stop: Callable[[], bool]) -> None:
    """Wait until all jobs have ended, and print a line whenever something has changed.

    Raises:
        Preempted: ``stop`` says so.
        PdError: Slurm has not answered for minutes.
    """
    shown, pause, silent = "", POLL_S, 0
    while jobs:
        try:
            listed = list_jobs()
            silent = 0
        except PdError as error:
            silent += 1
            if silent == PATIENCE:
                raise
            listed = None
            if silent == 1:
                say(f"{error} Asking again.")
        if listed is not None:
            line = "; ".join(_summary(job, listed) for job in jobs if _is_live(job, listed))
            if not line:
                return
            if line != shown:
                shown, pause = line, POLL_S
                say(line)
        _pause(pause, stop)
        pause = min(1.5 * pause, LONGEST_POLL_S)


def failures(project: Project, jobs: Sequence[Job]) -> list[PdError]:
    """One error for every job of which a task failed or that left its nodes incomplete, in the order of the pipeline.

    A job that Slurm never began because another failed before it gets none.
    """
    if not jobs:
        return []
    listed, found = list_jobs(), list[PdError]()
    for job in jobs:
        missing = sum(project.num_units(name) - len(project.layer(name).units()) for name in job.nodes)
        states = listed[job.job].states if job.job in listed else {}
        failed = [task for task, state in states.items() if state in ENDED_STATES - {"COMPLETED", "CANCELLED"}]
        begun = [task for task in job.tasks if Path(job.log_of(task)).exists()]
        if not (missing or failed) or (found and not failed and not begun):
            continue
        task = (failed or [task for task in begun if _last_words(job, task)[0] != "0"] or begun or list(job.tasks))[0]
        found.append(_failure(job, task, states.get(task, ""), missing))
    return found


def _failure(job: Job, task: int, state: str, missing: int) -> PdError:
    code, reason = _last_words(job, task)
    how = state.lower().replace("_", " ") if state and state != "COMPLETED" else "ended"
    with_code = f" with exit code {code}" if code else ""
    left = f"; {missing} units are missing" if missing else ""
    problem = f"task {task} of job {job.job} {how}{with_code}{left}"
    error = PartlyFailed if code == str(PartlyFailed.exit_code) else PdError
    said = f" ({reason})" if reason else ""
    return error(problem + said, job.title, f"See {job.log_of(task)}, then run the same command again")


def _last_words(job: Job, task: int) -> tuple[str, str]:
    """The exit code with which a task ended, and the last error in its log; empty where there is none."""
    try:
        lines = Path(job.log_of(task)).read_text(errors="replace").splitlines()[-200:]
    except OSError:
        return "", ""
    codes = [line.removeprefix(ENDED).strip() for line in lines if line.startswith(ENDED)]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    errors += [line for line in lines if line.startswith("slurmstepd") and "error:" in line][-1:] if not errors else []
    return (codes[-1] if codes else ""), (errors[-1].rstrip(".") if errors else "")


def _todo(project: Project, names: Sequence[str], request: Request, running: set[str]) -> set[int]:
    """The units that one of the nodes lacks, also those whose input will only be there once ``running`` have ended."""
    todo: set[int] = set()
    for name in names:
        if request.options.refresh and running.intersection(project[name].upstream()):
            # Which units will be stale is only known once the input has been computed again.
            return set(range(project.num_units(name)))
        check_settings(project, name, request.options.new_layer)
        inputs = Inputs(project, name)
        recorded = Committed.of(project.layer(name)) if request.options.refresh else None
        work = plan_work(Snapshot.read(project, name, inputs, recorded), request.options)
        if any(source.name not in running for source in work.lacking):
            checked_work(project, name, inputs, request.options)  # says what is missing
        todo |= {*work.ready, *work.waiting}
    return todo


def _is_live(job: Job, listed: Mapping[str, Listed]) -> bool:
    return job.job in listed and listed[job.job].is_live


def _summary(job: Job, listed: Mapping[str, Listed]) -> str:
    counts = Counter(listed[job.job].states.values())
    return f"{job.title}: job {job.job}, " + ", ".join(f"{count} {state.lower()}" for state, count in counts.items())


def _pause(seconds: float, stop: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if stop():
            fix = "The same command follows them again; to cancel them: pd stage cancel"
            raise Preempted("stopped following the jobs, which go on", "--launcher slurm", fix)
        time.sleep(0.1)
