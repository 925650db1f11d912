"""The options shared by the verbs that run nodes, and the record they are parsed into."""

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
    """Which processes compute: this one, unless workers, GPUs or Slurm are requested.

    Attributes:
        launcher: ``local`` or ``slurm``.
        workers: number of processes on this machine; for a training, of ranks.
        gpus: number of GPUs, each with one process (for a training, one rank); with ``slurm``, GPUs per task.
        jobs: number of tasks in the Slurm array job.
        slurm_args: arguments passed to ``sbatch``.
    """

    launcher: str = "local"
    workers: int = 0
    gpus: int = 0
    jobs: int = 0
    slurm_args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What the command line requests: how a node is run, and by which processes."""

    options: RunOptions
    launch: Launch

    @classmethod
    def parse(cls, values: dict[str, Any], *, wait: bool) -> Request:
        """Build a request from the values of the options below.

        Args:
            values: option name, as click spells it -> value.
            wait: wait for units that other workers hold.

        Raises:
            UsageError: two options cannot be combined, or the shard is not valid.
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
    """Add the options that ``pd run``, ``pd stage run`` and ``pd eval`` share."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def node_options(command: F) -> F:
    """Add the options that only ``pd stage run`` has."""
    for option in reversed(_NODE):
        command = option(command)
    return command


_SHARED = (
    click.option("--dry-run", is_flag=True, help="Only show what would run."),
    click.option("--max-error-rate", type=click.FloatRange(0, 1), default=0.5, show_default=True,
                 help="Fail if a larger share of the images has to be left out."),
    click.option("--retries", type=click.IntRange(0), default=1, show_default=True,
                 help="How often a failed unit is tried again."),
    click.option("--allow-partial", is_flag=True,
                 help="Let a training, ranking or evaluation run on incomplete input."),
    click.option("--new-layer", is_flag=True,
                 help="Write the results of changed settings to a new layer and keep the old one."),
    click.option("--refresh", is_flag=True, help="Recompute units whose input has changed."),
    click.option("--workers", type=click.IntRange(1), metavar="N",
                 help="Run N processes on this machine (for a training, N ranks)."),
    click.option("--gpus", type=click.IntRange(1), metavar="N",
                 help="Run one process (for a training, one rank) on each of N GPUs."),
)  # fmt: skip
_NODE = (
    click.option("--shard", metavar="K/N", help="Run only part K of N, counted from 1."),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Run at most N units."),
    click.option("--wait", is_flag=True, help="Wait for units that other workers hold."),
    click.option("--launcher", type=click.Choice(["local", "slurm"]), default="local", show_default=True,
                 help="Start processes on this machine, or submit an array job."),
    click.option("--jobs", type=click.IntRange(1), metavar="N", help="slurm: the number of tasks in the array job."),
    click.option("--slurm-arg", multiple=True, metavar="ARG",
                 help="slurm: an argument for sbatch, such as --partition=gpu."),
)  # fmt: skip


def _check(options: RunOptions, launch: Launch) -> None:
    if launch.launcher == "slurm":
        if not launch.jobs:
            raise UsageError("the number of tasks is missing", "--launcher slurm", "Add --jobs N")
        if options.shard or launch.workers:
            extra = "--shard" if options.shard else "--workers"
            fix = f"Leave {extra} out: each of the --jobs tasks takes one shard"
            raise UsageError(f"{extra} cannot be combined with it", "--launcher slurm", fix)
    elif launch.jobs or launch.slurm_args:
        option = "--jobs" if launch.jobs else "--slurm-arg"
        fix = "Add --launcher slurm, or use --workers N on this machine"
        raise UsageError("expected --launcher slurm, found --launcher local", option, fix)
    elif launch.workers and launch.gpus:
        fix = "Leave one of them out; --gpus N starts one worker per GPU"
        raise UsageError("expected --workers or --gpus, found both", "--launcher local", fix)
