"""Submitting nodes to Slurm, never twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.launchers.jobs import recorded_jobs
from cli.launchers.slurm.commands import cancel, list_jobs
from cli.launchers.slurm.submission import live_job, mark_of, request_of_node, script_of, submit_nodes
from cli.options import Launch, Request
from pdstore import Store, layout
from stages.plan.project import Project
from stages.run.options import RunOptions

ARGUMENTS = ("--mem=8G", "grouping:--partition=gpu", "crf:--partition=cpu")


def test_each_node_gets_what_it_can_use(store: Path) -> None:
    """GPUs are for networks, several machines for trainings, arguments for the node that they name."""
    project = Project.open(Store(str(store)))
    request = Request(RunOptions(), Launch("slurm", jobs=20, gpus=4, workers=2, nodes=2, slurm_args=ARGUMENTS))
    grouping, crf = (request_of_node(project, name, request) for name in ("grouping", "crf"))
    assert (grouping.launch.jobs, grouping.launch.gpus, grouping.launch.nodes) == (3, 4, 1)
    assert (crf.launch.jobs, crf.launch.gpus, crf.launch.workers) == (3, 0, 2)
    script = script_of(project, ["crf"], crf, [])
    assert "#SBATCH --mem=8G\n#SBATCH --partition=cpu\n" in script and "gpu" not in script
    assert " --workers 2 --shard " in script and f"--comment={mark_of(project, ['crf'])}\n" in script


def test_a_job_is_found_even_without_its_record(
    store: Path, cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was killed after the submission leaves a job without a record. Nothing is submitted twice."""
    monkeypatch.chdir(tmp_path)
    project = Project.open(Store(str(store)))
    request = Request(RunOptions(), Launch("slurm", jobs=3, slurm_args=("--hold",)))
    first = submit_nodes(project, ["crf"], request, [], tasks=[1, 3])
    assert not first.was_there and recorded_jobs(project, "crf") == [first.job]
    assert submit_nodes(project, ["crf"], request, []).job == first.job
    project.store.files.remove(layout.job("crf", project["crf"].fingerprint, 0))
    again = submit_nodes(project, ["crf"], request, [])
    assert again.was_there and (again.job.job, again.job.tasks) == (first.job.job, (1, 3))
    assert again.job.log == first.job.log == f"{tmp_path}/pd-crf-{first.job.job}_%a.log"
    assert live_job(project, ["grouping"], list_jobs()) is None
    cancel([first.job.job])
    assert live_job(project, ["crf"], list_jobs()) is None
