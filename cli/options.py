"""The options shared by the verbs that run nodes, and the record they are parsed into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from pdstore.errors import UsageError
from stages.plan.shard import Shard
from stages.run.options import RunOptions

__all__ = ["Launch", "Request", "launch_options", "node_options", "shared_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Launch:
    """Which processes compute: this one, unless workers, GPUs or a launcher are requested.

    Attributes:
        launcher: ``local``, ``slurm``, ``ray``, or empty if none is named: then this process computes, unless workers
            or GPUs are requested.
        workers: number of processes on this machine, or per task; for a training, of ranks.
        gpus: number of GPUs, each with one process (for a training, one rank), on this machine or per task.
        jobs: number of tasks that Slurm or Ray is given per node.
        slurm_args: arguments passed to ``sbatch``; with ``NODE:`` before it, an argument for the jobs of this node.
        nodes: number of machines that train together.
        rendezvous: ``host:port`` at which these machines meet; empty on a single machine.
        ray_address: the address of the Ray cluster.
    """

    launcher: str = ""
    workers: int = 0
    gpus: int = 0
    jobs: int = 0
    slurm_args: tuple[str, ...] = ()
    nodes: int = 1
    rendezvous: str = ""
    ray_address: str = "auto"


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
        named = [f"--{name}={values[name]}" for name in _SBATCH if values.get(name)]
        launch = Launch(
            values.get("launcher") or "",
            values["workers"] or 0,
            values["gpus"] or 0,
            values.get("jobs") or 0,
            (*named, *values.get("slurm_arg", ())),
            values.get("nodes") or 1,
            values.get("rendezvous") or "",
            values.get("ray_address") or Launch.ray_address,
        )
        _check(options, launch)
        return cls(options, launch)


def shared_options(command: F) -> F:
    """Add the options that ``pd run``, ``pd stage run`` and ``pd eval`` share."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def launch_options(command: F) -> F:
    """Add the options that ``pd run`` and ``pd stage run`` share: by which launcher workers are started."""
    for option in reversed(_LAUNCH):
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
_LAUNCH = (
    click.option("--launcher", type=click.Choice(["local", "slurm", "ray"]),
                 help="Start one process per GPU or core here, submit array jobs, or use a Ray cluster."),
    click.option("--jobs", type=click.IntRange(1), metavar="N", help="slurm, ray: the number of tasks per node."),
    click.option("--partition", metavar="NAME", help="slurm: the partition of the jobs."),
    click.option("--account", metavar="NAME", help="slurm: the account of the jobs."),
    click.option("--time", metavar="LIMIT", help="slurm: the time limit of a task, such as 4:00:00."),
    click.option("--gres", metavar="LIST", help="slurm: generic resources, in place of gpu:N for --gpus N."),
    click.option("--slurm-arg", multiple=True, metavar="[NODE:]ARG",
                 help="slurm: an argument for sbatch, such as --mem=8G; with NODE: for this node's jobs only."),
    click.option("--nodes", type=click.IntRange(1), metavar="N", help="Train on N machines together."),
    click.option("--ray-address", metavar="ADDRESS", help="ray: the cluster.  [default: auto]"),
)  # fmt: skip
_NODE = (
    click.option("--shard", metavar="K/N", help="Run only part K of N, counted from 1."),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Run at most N units."),
    click.option("--wait", is_flag=True, help="Wait for units that other workers hold."),
    click.option("--rendezvous", metavar="HOST:PORT", help="With --nodes: where the machines of a training meet."),
)  # fmt: skip
_SBATCH = ("partition", "account", "time", "gres")


def _check(options: RunOptions, launch: Launch) -> None:
    where = f"--launcher {launch.launcher or 'local'}"
    if launch.launcher in ("slurm", "ray"):
        _check_cluster(options, launch, where)
    elif launch.jobs or launch.slurm_args:
        option = "--jobs" if launch.jobs else launch.slurm_args[0].partition("=")[0]
        fix = f"Add --launcher {'slurm or ray' if launch.jobs else 'slurm'}, or use --workers N on this machine"
        raise UsageError("this option has no effect on this machine", option, fix)
    elif launch.workers and launch.gpus:
        fix = "Leave one of them out; --gpus N starts one worker per GPU"
        raise UsageError("expected --workers or --gpus, found both", where, fix)
    elif launch.nodes > 1 and not (launch.rendezvous and (launch.gpus or launch.workers)):
        fix = "Run the same command on each machine, with --rendezvous HOST:PORT and --gpus N or --workers N"
        raise UsageError("several machines have to know where they meet and how many ranks each has", "--nodes", fix)
    if launch.rendezvous and launch.nodes == 1:
        raise UsageError("the number of machines is missing", "--rendezvous", "Add --nodes N")


def _check_cluster(options: RunOptions, launch: Launch, where: str) -> None:
    if not launch.jobs:
        raise UsageError("the number of tasks is missing", where, "Add --jobs N")
    if options.shard:
        raise UsageError("--shard cannot be combined with it", where, "Leave --shard out: the tasks divide the units")
    if launch.rendezvous:
        raise UsageError("--rendezvous cannot be combined with it", where, "Leave it out: --nodes N is enough")
    if launch.launcher == "ray" and (launch.slurm_args or launch.nodes > 1):
        option = "--nodes" if launch.nodes > 1 else launch.slurm_args[0].partition("=")[0]
        raise UsageError(f"{option} cannot be combined with it", where, f"Leave {option} out, or use --launcher slurm")
