"""The options that the running verbs share, and the record that they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from pdstore.errors import UsageError
from stages.plan.shard import Shard
from stages.run.options import RunOptions

__all__ = ["Launch", "Request", "node_options", "shared_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Launch:
    """Who computes: this process unless one of these is set.

    Attributes:
        workers: processes on this machine, ranks of a training.
        gpus: one process (of a training, one rank) for each of so many GPUs; with ``slurm``, GPUs of a task.
        jobs: tasks of the array job.
    """

    launcher: str = "local"
    workers: int = 0
    gpus: int = 0
    jobs: int = 0
    slurm_args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What the command line asks of a node: how to run it and who does."""

    options: RunOptions
    launch: Launch

    @classmethod
    def parse(cls, values: dict[str, Any], *, wait: bool) -> Request:
        """From the values of the options below.

        Raises:
            UsageError: two options do not go together.
        """
        shard = values.get("shard")
        options = RunOptions(
            shard=None if shard is None else Shard.parse(shard),
            limit=values.get("limit") or 0,
            retries=values["retries"],
            max_error_rate=values["max_error_rate"],
            allow_partial=values["allow_partial"],
            new_layer=values["new_layer"],
            refresh=values["refresh"],
            dry_run=values["dry_run"],
            wait=wait,
        )
        launch = Launch(
            values.get("launcher", "local"),
            values["workers"] or 0,
            values["gpus"] or 0,
            values.get("jobs") or 0,
            tuple(values.get("slurm_arg", ())),
        )
        _check(options, launch)
        return cls(options, launch)


def shared_options(command: F) -> F:
    """Options of ``pd run`` and ``pd stage run``."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def node_options(command: F) -> F:
    """Options of ``pd stage run`` alone."""
    for option in reversed(_NODE):
        command = option(command)
    return command


_SHARED = (
    click.option("--dry-run", is_flag=True, help="Only say what would run."),
    click.option("--max-error-rate", type=click.FloatRange(0, 1), default=0.5, show_default=True,
                 help="Fail if a larger share of the images had to be left out."),
    click.option("--retries", type=click.IntRange(0), default=1, show_default=True, help="Further tries of a unit."),
    click.option("--allow-partial", is_flag=True, help="Let a training, ranking or evaluation take what there is."),
    click.option("--new-layer", is_flag=True, help="Write changed settings as a second layer beside the first."),
    click.option("--refresh", is_flag=True, help="Compute units again whose input has changed."),
    click.option("--workers", type=click.IntRange(1), metavar="N", help="N processes on this machine (ranks)."),
    click.option("--gpus", type=click.IntRange(1), metavar="N", help="A process (rank) for each of N GPUs."),
)  # fmt: skip
_NODE = (
    click.option("--shard", metavar="K/N", help="Only part K of N, counted from 1."),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N units in this run."),
    click.option("--wait", is_flag=True, help="Wait for units that other workers hold."),
    click.option("--launcher", type=click.Choice(["local", "slurm"]), default="local", show_default=True),
    click.option("--jobs", type=click.IntRange(1), metavar="N", help="slurm: tasks of the array job."),
    click.option("--slurm-arg", multiple=True, metavar="ARG", help="slurm: passed to sbatch, such as --partition=gpu."),
)


def _check(options: RunOptions, launch: Launch) -> None:
    if launch.launcher == "slurm":
        if not launch.jobs:
            raise UsageError("expected a number of tasks, found none", "--launcher slurm", "Add --jobs N")
        if options.shard or launch.workers:
            found = "--shard" if options.shard else "--workers"
            raise UsageError(
                f"expected --jobs and --gpus alone, found {found}",
                "--launcher slurm",
                "Each task takes one shard of --jobs",
            )
    elif launch.jobs or launch.slurm_args:
        found = "--jobs" if launch.jobs else "--slurm-arg"
        raise UsageError(
            "expected --launcher slurm beside it, found --launcher local", found, "Or use --workers N on this machine"
        )
    elif launch.workers and launch.gpus:
        raise UsageError("expected --workers or --gpus, found both", "launcher", "--gpus N starts one worker a GPU")
