"""Records of jobs in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.launchers.jobs import Job, nodes_with_jobs, record_job, recorded_jobs
from pdstore import Store, layout
from stages.plan.project import Project


def test_jobs_are_recorded_for_each_of_their_nodes(store: Path) -> None:
    """The newest comes last; a damaged record is left out, and its number is not given again."""
    project = Project.open(Store(str(store)))
    assert nodes_with_jobs(project) == [] and recorded_jobs(project, "crf") == []
    first = Job("17", ("grouping", "crf"), (1, 3), 4, "/logs/pd-crf-17_%a.log", "2026-01-01T00:00:00+00:00")
    record_job(project, first)
    place = "crf", project["crf"].fingerprint
    project.store.files.write(layout.job(*place, 1), first.to_json()[:-5])
    second = Job("18", ("crf",), (1,), 1, "/logs/x")
    record_job(project, second)
    assert recorded_jobs(project, "crf") == [first, second] and recorded_jobs(project, "grouping") == [first]
    assert nodes_with_jobs(project) == ["grouping", "crf"]
    assert project.store.files.exists(layout.job(*place, 2))
    assert first.title == "grouping + crf" and first.log_of(3) == "/logs/pd-crf-17_3.log"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"job": 1}', b"\xff", b'{"job":"1","log":"","nodes":3}'])
def test_nonsense_is_no_job(data: bytes) -> None:
    """Whatever a damaged file holds, it is one error of one kind."""
    with pytest.raises(ValueError):
        Job.of_json(data)
