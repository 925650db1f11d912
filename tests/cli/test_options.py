"""The options shared by the verbs that run nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from cli.options import Launch, Request, launch_options, node_options, shared_options
from pdstore.errors import UsageError
from stages.plan.shard import Shard
from stages.run.options import RunOptions
from tests.cli.conftest import Pd, assert_error


@click.command()
@node_options
@shared_options
@launch_options
def _stage_run(**values: Any) -> None:
    """The options of ``pd stage run``."""


@click.command()
@shared_options
@launch_options
def _run(**values: Any) -> None:
    """The options of ``pd run``."""


def parse(command: click.Command, *words: str, wait: bool = False) -> Request:
    return Request.parse(command.make_context("pd", list(words)).params, wait=wait)


@pytest.mark.parametrize("command", [_run, _stage_run])
def test_without_options_the_defaults_of_a_run_hold(command: click.Command) -> None:
    """The command line and the runner agree on every default, and this process computes."""
    assert parse(command) == Request(RunOptions(), Launch())
    assert parse(command, wait=True) == Request(RunOptions(wait=True), Launch())


def test_each_option_reaches_its_field() -> None:
    """Every option that is set changes the request, and no other field."""
    words = "--shard 2/3 --limit 4 --retries 0 --max-error-rate 0.25 --allow-partial --new-layer --refresh --dry-run"
    assert parse(_stage_run, *words.split()) == Request(
        RunOptions(
            shard=Shard(2, 3),
            limit=4,
            retries=0,
            max_error_rate=0.25,
            allow_partial=True,
            new_layer=True,
            refresh=True,
            dry_run=True,
        ),
        Launch(),
    )
    words = "--launcher slurm --jobs 5 --gpus 2 --slurm-arg=--partition=gpu --slurm-arg=--time=60"
    arguments = ("--partition=gpu", "--time=60")
    assert parse(_stage_run, *words.split()).launch == Launch("slurm", gpus=2, jobs=5, slurm_args=arguments)
    words = "--launcher slurm --jobs 5 --workers 2 --nodes 2 --partition gpu --account me --time 4:00:00 --gres gpu:a:2"
    arguments = ("--partition=gpu", "--account=me", "--time=4:00:00", "--gres=gpu:a:2", "crf:--mem=1G")
    assert parse(_run, *words.split(), "--slurm-arg=crf:--mem=1G").launch == Launch(
        "slurm", workers=2, jobs=5, slurm_args=arguments, nodes=2
    )
    assert parse(_run, *["--launcher", "ray", "--jobs", "5", "--ray-address", "ray://head:10001"]).launch == Launch(
        "ray", jobs=5, ray_address="ray://head:10001"
    )
    words = "--gpus 8 --nodes 2 --rendezvous host:29500"
    assert parse(_stage_run, *words.split()).launch == Launch(gpus=8, nodes=2, rendezvous="host:29500")
    assert parse(_run, "--workers", "3").launch == Launch(workers=3)


@pytest.mark.parametrize(
    ("words", "where", "problem", "fix"),
    [
        ("--launcher slurm", "--launcher slurm", "the number of tasks is missing", "Add --jobs N"),
        (
            "--launcher slurm --jobs 2 --shard 1/2",
            "--launcher slurm",
            "--shard cannot be combined",
            "Leave --shard out",
        ),
        ("--launcher ray", "--launcher ray", "the number of tasks is missing", "Add --jobs N"),
        ("--launcher ray --jobs 2 --nodes 2", "--launcher ray", "--nodes cannot be", "--launcher slurm"),
        ("--launcher ray --jobs 2 --time 5", "--launcher ray", "--time cannot be", "Leave --time out"),
        ("--jobs 2", "--jobs", "no effect on this machine", "Add --launcher slurm or ray, or use --workers N"),
        ("--slurm-arg=--mem=5", "--mem", "no effect on this machine", "Add --launcher slurm"),
        ("--partition gpu", "--partition", "no effect on this machine", "Add --launcher slurm"),
        ("--nodes 2 --gpus 2", "--nodes", "where they meet", "--rendezvous HOST:PORT"),
        ("--nodes 2 --rendezvous a:1", "--nodes", "how many ranks", "--gpus N or --workers N"),
        ("--rendezvous a:1 --gpus 2", "--rendezvous", "number of machines is missing", "Add --nodes N"),
        ("--workers 2 --gpus 2", "--launcher local", "expected --workers or --gpus, found both", "Leave one of them"),
        ("--shard 4/3", "--shard", "found 4/3", "counted from 1"),
    ],
)
def test_options_that_contradict_each_other(words: str, where: str, problem: str, fix: str) -> None:
    """The error names the option, says what is wrong with it, and what to add or leave out."""
    with pytest.raises(UsageError) as caught:
        parse(_stage_run, *words.split())
    assert caught.value.where == where and problem in caught.value.problem and fix in caught.value.fix


def test_options_that_do_not_go_together(pd: Pd, store: Path) -> None:
    """Each error says what to leave out or add."""
    assert_error(pd("stage", "run", "ingest", "--jobs", "3"), 2, "--launcher slurm")
    assert_error(pd("stage", "run", "ingest", "--launcher", "slurm"), 2, "--jobs N")
    assert_error(pd("run", "--launcher", "kubernetes"), 2, "kubernetes", "local", "slurm", "ray")
    assert_error(pd("run", "--workers", "2", "--gpus", "2"), 2, "--workers or --gpus")
